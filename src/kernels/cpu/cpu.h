/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_CPU_CPU_H
#define IG_KERNELS_CPU_CPU_H

/* What the processor and the operating system let kernels use. Levels include those before. */

#include "base/str.h"

enum ig_isa {
    IG_ISA_SCALAR,
    IG_ISA_AVX2,   /* with BMI2 and FMA */
    IG_ISA_AVX512, /* F, VL, DQ, BW */
    IG_ISAS_COUNT,
};

/* The greatest usable level, capped by the environment's INGOT_ISA (scalar, avx2 or avx512; any
 * other text is ignored). Thread-safe as long as nobody changes the environment. */
enum ig_isa ig_cpu_isa(void);
/* Whether level AVX512 comes with the permutation of bytes (VBMI). */
bool ig_cpu_permutes_bytes(void);
const char *ig_isa_name(enum ig_isa isa);
bool ig_isa_parse(struct ig_str name, enum ig_isa *out);
/* "AMD EPYC 9654 96-Core Processor"; empty where unknown. */
void ig_cpu_model(char *name, size_t size_bytes);

#endif
