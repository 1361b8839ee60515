# Everything comes from Debian 12 packages; deploy/setup.sh installs them.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(Protobuf REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(Catch2 2 REQUIRED)
pkg_check_modules(GRPCPP REQUIRED IMPORTED_TARGET grpc++)
# gRPC's own OpenSSL comes with it when a program starts. On our link lines it would be found before BoringSSL, whose names it shares.
get_target_property(grpc_libraries PkgConfig::GRPCPP INTERFACE_LINK_LIBRARIES)
list(FILTER grpc_libraries EXCLUDE REGEX "lib(ssl|crypto)\\.so")
set_target_properties(PkgConfig::GRPCPP PROPERTIES INTERFACE_LINK_LIBRARIES "${grpc_libraries}")
pkg_check_modules(UV REQUIRED IMPORTED_TARGET libuv)
pkg_check_modules(CARES REQUIRED IMPORTED_TARGET libcares)
pkg_check_modules(NGHTTP2 REQUIRED IMPORTED_TARGET libnghttp2)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(RE2 REQUIRED IMPORTED_TARGET re2)
pkg_check_modules(SPDLOG REQUIRED IMPORTED_TARGET spdlog)
find_package(absl REQUIRED)
find_program(GW_PROTOC protoc REQUIRED)
find_program(GW_GRPC_PLUGIN grpc_cpp_plugin REQUIRED)

# llhttp: Debian ships the C sources. Its default is loose; strict mode must be the same in the header and the parser.
add_library(gw_llhttp STATIC /usr/share/llhttp/llhttp.c /usr/share/llhttp/api.c /usr/share/llhttp/http.c)
target_include_directories(gw_llhttp SYSTEM PUBLIC /usr/share/include/llhttp)
target_compile_definitions(gw_llhttp PUBLIC LLHTTP_STRICT_MODE=1)
target_compile_options(gw_llhttp PRIVATE -w -O2)
set_target_properties(gw_llhttp PROPERTIES UNITY_BUILD OFF)
target_link_libraries(gw_llhttp PRIVATE gw_sanitize)

# BoringSSL, static and hidden: gRPC keeps its own OpenSSL for the control channel.
set(BORINGSSL_ROOT /opt/northgate/boringssl CACHE PATH "BoringSSL built by deploy/setup.sh")
if(NOT EXISTS ${BORINGSSL_ROOT}/lib/libcrypto.a)
  message(FATAL_ERROR "BoringSSL is not at ${BORINGSSL_ROOT}: run deploy/setup.sh, or give -DBORINGSSL_ROOT=")
endif()
add_library(gw_boringssl_crypto STATIC IMPORTED)
set_target_properties(gw_boringssl_crypto PROPERTIES
  IMPORTED_LOCATION ${BORINGSSL_ROOT}/lib/libcrypto.a)
target_link_libraries(gw_boringssl_crypto INTERFACE Threads::Threads)
add_library(gw_boringssl_ssl STATIC IMPORTED)
set_target_properties(gw_boringssl_ssl PROPERTIES
  IMPORTED_LOCATION ${BORINGSSL_ROOT}/lib/libssl.a)
target_link_libraries(gw_boringssl_ssl INTERFACE gw_boringssl_crypto)
# Only tls/ and common/crypto include it, each privately: its headers share names with OpenSSL's.
set(GW_BORINGSSL_INCLUDE ${BORINGSSL_ROOT}/include)
add_link_options(-Wl,--exclude-libs,libcrypto.a:libssl.a)
