// WIDELAB_CLONES before a hot function: compiled for AVX-512 as well, chosen when the program starts. Elementwise
// loops give the same bits at every vector width.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(WIDELAB_NO_CLONES)
#define WIDELAB_CLONES __attribute__((target_clones("arch=x86-64-v4", "default")))
#else
#define WIDELAB_CLONES
#endif
