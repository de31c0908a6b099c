# BLAKE3, the library of its authors. Debian 13 has it as libblake3-dev; Debian 12 has its source, in librust-blake3-dev: of
# that, what is compiled is what is written down here, and nothing else.
#
# SHA-256 of each file of a version. Another version: compare its files with those of its authors
# (https://github.com/BLAKE3-team/BLAKE3, the tag of the version), and add a block.
set(BLAKE3_VERSIONS 1.3.1)
set(BLAKE3_1.3.1_blake3.c 017cd96fba5a3ef1d669187d678336ffce594837f7316665c6bd6d5291aab4d8)
set(BLAKE3_1.3.1_blake3.h 024151249bf3234ab1e804596d1d1fa5705626f01670772e55d3267ca1b5863b)
set(BLAKE3_1.3.1_blake3_impl.h 2f98021d869c41bb155e3beee06ad685480c7ececaa653e20ab209c3ec4b510c)
set(BLAKE3_1.3.1_blake3_dispatch.c 2603dd4a855f4be52961c68f9bbebcb9c74e28144e3dc00ab7837f8e88762cfa)
set(BLAKE3_1.3.1_blake3_portable.c 2bc25b0dad67b4329d0b49cfa075ab2b0d04e424addbddc4e9c389c52a192524)
set(BLAKE3_1.3.1_blake3_neon.c f268f1957d6e612888da7a7d0302c23dc20213eb6b9f75c11ffd31359acde378)
set(BLAKE3_1.3.1_blake3_sse2_x86-64_unix.S 94baa998f4114bf57b99e1791a21e9f0bcdc4bd5803864eb30a2477440b7380c)
set(BLAKE3_1.3.1_blake3_sse41_x86-64_unix.S 135048e4a81a6f9e86960b115141874a55954dbfd2cd1e8e9818837b46b498ad)
set(BLAKE3_1.3.1_blake3_avx2_x86-64_unix.S a2d95519fd9845cf80252110e21a93124e81c03da836eaac0bca0537be4f8324)
set(BLAKE3_1.3.1_blake3_avx512_x86-64_unix.S ecf923dc9ccac941b751e7190c9f10b97535d1e8d6e0bb0888a979f5bc0a5fde)

set(COFRE_BLAKE3_ROOT /usr/share/cargo/registry CACHE PATH "where blake3-VERSION/c is, when there is no libblake3")

set(BLAKE3_FILES blake3.c blake3_dispatch.c blake3_portable.c)
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
  enable_language(ASM)
  list(APPEND BLAKE3_FILES blake3_sse2_x86-64_unix.S blake3_sse41_x86-64_unix.S blake3_avx2_x86-64_unix.S
    blake3_avx512_x86-64_unix.S)
elseif(CMAKE_SYSTEM_PROCESSOR STREQUAL "aarch64")
  list(APPEND BLAKE3_FILES blake3_neon.c)
endif()

# The directory of a version that is known, into BLAKE3_SOURCE.
function(blake3_find)
  foreach(version ${BLAKE3_VERSIONS})
    set(place ${COFRE_BLAKE3_ROOT}/blake3-${version}/c)
    if(EXISTS ${place}/blake3.c)
      foreach(file ${BLAKE3_FILES} blake3.h blake3_impl.h)
        file(SHA256 ${place}/${file} is)
        if(NOT is STREQUAL "${BLAKE3_${version}_${file}}")
          message(FATAL_ERROR "${place}/${file} is not that of BLAKE3 ${version}: somebody changed it. Install the package "
            "that it belongs to anew (Debian: apt-get install --reinstall librust-blake3-dev).")
        endif()
      endforeach()
      set(BLAKE3_SOURCE ${place} PARENT_SCOPE)
      message(STATUS "BLAKE3 ${version}: ${place}, as its authors released it")
      return()
    endif()
  endforeach()
  file(GLOB others ${COFRE_BLAKE3_ROOT}/blake3-*)
  message(FATAL_ERROR "BLAKE3 is needed: libblake3 with its headers (Debian 13: libblake3-dev), or its source of version "
    "${BLAKE3_VERSIONS} in ${COFRE_BLAKE3_ROOT} (Debian 12: librust-blake3-dev). There is: '${others}'. To build with another "
    "version, compare its files with those of its authors and write their SHA-256 into ${CMAKE_CURRENT_FUNCTION_LIST_FILE}.")
endfunction()

pkg_check_modules(BLAKE3 IMPORTED_TARGET libblake3)
if(BLAKE3_FOUND)
  add_library(blake3 INTERFACE)
  target_link_libraries(blake3 INTERFACE PkgConfig::BLAKE3)
else()
  blake3_find()
  list(TRANSFORM BLAKE3_FILES PREPEND ${BLAKE3_SOURCE}/)
  add_library(blake3 STATIC ${BLAKE3_FILES})
  target_include_directories(blake3 SYSTEM PUBLIC ${BLAKE3_SOURCE})
  target_compile_options(blake3 PRIVATE -w)
  if(CMAKE_SYSTEM_PROCESSOR STREQUAL "aarch64")
    target_compile_definitions(blake3 PRIVATE BLAKE3_USE_NEON=1)
  endif()
endif()

# Its authors' test vectors, on this machine and as it was compiled, before anything is built on it.
add_executable(blake3_proof ${CMAKE_CURRENT_LIST_DIR}/blake3_proof.c)
set_target_properties(blake3_proof PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR})
target_link_libraries(blake3_proof PRIVATE blake3)
if(CMAKE_CROSSCOMPILING)
  message(STATUS "BLAKE3 is not proved by its test vectors: what is built does not run here. Run core/repository/blake3_proof there.")
else()
  add_custom_command(OUTPUT blake3.proved COMMAND blake3_proof COMMAND ${CMAKE_COMMAND} -E touch blake3.proved
    DEPENDS blake3_proof COMMENT "Proving BLAKE3 by its test vectors")
  add_custom_target(blake3_proved DEPENDS blake3.proved)
  add_dependencies(repository blake3_proved)
endif()
target_link_libraries(repository PRIVATE blake3)
