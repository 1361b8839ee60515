# Writes the bytes of IN as `gw::kDescriptorSet` and `gw::kDescriptorSetSize` into OUT.
file(READ ${IN} hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
file(WRITE ${OUT} "#include <cstddef>\nnamespace gw {\nextern const unsigned char kDescriptorSet[] = {${bytes}};\nextern const std::size_t kDescriptorSetSize = sizeof kDescriptorSet;\n}\n")
