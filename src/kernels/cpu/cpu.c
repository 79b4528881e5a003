/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the instruction sets. The compiler's support library asks CPUID and, for registers that the
 * operating system must save, XGETBV. Owns nothing; stateless. */
#include "kernels/cpu/cpu.h"

#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)

#include <cpuid.h>

static enum ig_isa detect(void)
{
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("bmi2") ||
        !__builtin_cpu_supports("fma"))
        return IG_ISA_SCALAR;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw"))
        return IG_ISA_AVX512;
    return IG_ISA_AVX2;
}

bool ig_cpu_permutes_bytes(void)
{
    return ig_cpu_isa() == IG_ISA_AVX512 && __builtin_cpu_supports("avx512vbmi");
}

void ig_cpu_model(char *name, size_t size_bytes)
{
    unsigned words[12] = {0};
    unsigned greatest = (unsigned)__get_cpuid_max(0x80000000U, NULL);
    for (unsigned i = 0; greatest >= 0x80000004U && i < 3; i++)
        __get_cpuid(0x80000002U + i, &words[4 * i], &words[4 * i + 1], &words[4 * i + 2],
                    &words[4 * i + 3]);
    char text[sizeof words + 1] = {0};
    memcpy(text, words, sizeof words);
    struct ig_str trimmed = ig_str_trim(ig_str_view(text));
    size_t count = trimmed.len < size_bytes ? trimmed.len : size_bytes - 1;
    memcpy(name, trimmed.ptr, count);
    name[count] = '\0';
}

#else

static enum ig_isa detect(void)
{
    return IG_ISA_SCALAR;
}

bool ig_cpu_permutes_bytes(void)
{
    return false;
}

void ig_cpu_model(char *name, size_t size_bytes)
{
    memset(name, 0, size_bytes);
}

#endif

static const char *const NAMES[IG_ISAS_COUNT] = {"scalar", "avx2", "avx512"};

const char *ig_isa_name(enum ig_isa isa)
{
    return NAMES[isa];
}

bool ig_isa_parse(struct ig_str name, enum ig_isa *out)
{
    for (unsigned i = 0; i < IG_ISAS_COUNT; i++) {
        if (!ig_str_is(name, NAMES[i])) continue;
        *out = (enum ig_isa)i;
        return true;
    }
    return false;
}

enum ig_isa ig_cpu_isa(void)
{
    enum ig_isa isa = detect();
    enum ig_isa cap = isa;
    const char *wish = getenv("INGOT_ISA");
    if (wish && ig_isa_parse(ig_str_view(wish), &cap) && cap < isa) return cap;
    return isa;
}
