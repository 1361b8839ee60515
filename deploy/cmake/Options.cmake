# Language, warnings, sanitizers, compiler cache.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 11)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
add_compile_options(-pthread)  # everywhere, so that precompiled headers fit every target
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

set(GW_SANITIZE none CACHE STRING "none, asan (with UBSan), tsan or fuzz")
set_property(CACHE GW_SANITIZE PROPERTY STRINGS none asan tsan fuzz)
option(GW_WERROR "Warnings are errors" ON)

find_program(GW_CCACHE ccache)
if(GW_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # The sloppiness is what ccache asks for where headers are precompiled.
  set(launcher ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      ${GW_CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${launcher})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${launcher})
endif()

# Flags of our own code. Generated code and gRPC adapters do not get GW_SANITIZE_FLAGS under tsan: the system's gRPC is
# not instrumented, and instrumenting only its callers reports races that are not there.
add_library(gw_flags INTERFACE)
target_compile_options(gw_flags INTERFACE -Wall -Wextra -Wno-missing-field-initializers)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # g++ 12 reports overlaps within std::string's own operator+ that are not there.
  target_compile_options(gw_flags INTERFACE -Wno-restrict)
endif()
if(GW_WERROR)
  target_compile_options(gw_flags INTERFACE -Werror)
endif()

set(GW_SANITIZE_FLAGS "")
if(GW_SANITIZE STREQUAL "asan")
  set(GW_SANITIZE_FLAGS -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
elseif(GW_SANITIZE STREQUAL "tsan")
  set(GW_SANITIZE_FLAGS -fsanitize=thread -fno-omit-frame-pointer)
elseif(GW_SANITIZE STREQUAL "fuzz")
  set(GW_SANITIZE_FLAGS -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
elseif(NOT GW_SANITIZE STREQUAL "none")
  message(FATAL_ERROR "GW_SANITIZE=${GW_SANITIZE}: must be none, asan, tsan or fuzz")
endif()
add_library(gw_sanitize INTERFACE)
target_compile_options(gw_sanitize INTERFACE ${GW_SANITIZE_FLAGS})
add_link_options(${GW_SANITIZE_FLAGS})
if(NOT GW_SANITIZE STREQUAL "none")
  target_compile_definitions(gw_flags INTERFACE GW_SANITIZED=1)
endif()
