# What compiler and linker can do against faults that are left, in every build but those with sanitizers, which do it better.
# A flag that the compiler does not know is left out.
include(CheckPIESupported)
check_pie_supported()

function(cofre_harden flag)
  string(MAKE_C_IDENTIFIER "COFRE_HAS${flag}" known)
  check_c_compiler_flag(${flag} ${known})
  if(${known})
    add_compile_options(${flag})
  endif()
endfunction()

if(NOT COFRE_SANITIZE)
  cofre_harden(-fstack-clash-protection)
  cofre_harden(-ftrivial-auto-var-init=zero)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    cofre_harden(-fcf-protection=full)
  elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
    cofre_harden(-mbranch-protection=standard)
  endif()

  # The C library's checks need an optimised build, whoever asked for it: a type of build, or the flags of a distribution,
  # whose own lower level gives way.
  string(TOUPPER "CMAKE_C_FLAGS_${CMAKE_BUILD_TYPE}" of_type)
  string(REGEX MATCHALL "(^| )-O[^ ]*" levels "${CMAKE_C_FLAGS} ${${of_type}}")
  list(POP_BACK levels level)
  if(level MATCHES "-O" AND NOT level MATCHES "-O0")
    string(REGEX REPLACE "(-Wp,)?-[DU]_FORTIFY_SOURCE(=[0-9]+)?" "" CMAKE_C_FLAGS "${CMAKE_C_FLAGS}")
    add_compile_options($<$<COMPILE_LANGUAGE:C>:-U_FORTIFY_SOURCE> $<$<COMPILE_LANGUAGE:C>:-D_FORTIFY_SOURCE=3>)
  endif()
endif()

add_link_options(-Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code)
