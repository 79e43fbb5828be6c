/* Clones of a kernel for the instruction sets met in servers, chosen by the dynamic linker at start (ifunc).
 *
 * `"avx2,fma"` would make two clones, one without each feature; the `arch=` levels bring both. Clones need
 * x86-64, glibc and gcc; TSan segfaults on ifunc resolvers, so a TSan build has the plain code only. `__GLIBC__`
 * exists only after a libc header: without the include below the clones would vanish silently, and a test
 * therefore looks for the `.resolver` symbols.
 */
#ifndef KB_ISA_H
#define KB_ISA_H

#include <stdint.h>

#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_THREAD__)
#define KB_CLONES __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define KB_CLONES
#endif

#endif
