/* SPDX-License-Identifier: Apache-2.0 */
/* Nanoseconds for one number, beside the C library, on three kinds of values: random bit patterns,
 * doubles in [-4, 4) as contributions are, and short decimals as people write them. `--smoke` runs
 * a few. */
#include "base/clock.h"
#include "base/num.h"
#include "base/random.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VALUES = 4096, ROUNDS = 40, TEXT = 32 };

struct sample {
    const char *name;
    double values[VALUES];
    float singles[VALUES];
    char texts[VALUES][TEXT];
    size_t lengths[VALUES];
};

static double random_bits(struct ig_rng *rng)
{
    double value;
    do {
        uint64_t bits = ig_rng_u64(rng);
        memcpy(&value, &bits, sizeof value);
    } while (!isfinite(value));
    return value;
}

static float random_single(struct ig_rng *rng)
{
    float value;
    do {
        uint32_t bits = (uint32_t)ig_rng_u64(rng);
        memcpy(&value, &bits, sizeof value);
    } while (!isfinite(value));
    return value;
}

static double contribution(struct ig_rng *rng)
{
    return 8 * ig_rng_unit(rng) - 4;
}

static double short_decimal(struct ig_rng *rng)
{
    return (double)ig_rng_below(rng, 1000000) / 100;
}

static void fill(struct sample *sample, const char *name, double (*make)(struct ig_rng *))
{
    struct ig_rng rng;
    ig_rng_seed(&rng, 5);
    sample->name = name;
    for (int i = 0; i < VALUES; i++) {
        sample->values[i] = make(&rng);
        sample->singles[i] = make == random_bits ? random_single(&rng) : (float)sample->values[i];
        sample->lengths[i] = ig_num_format_f64(sample->texts[i], sample->values[i]);
    }
}

static size_t write_ours(const struct sample *s, int i)
{
    char text[IG_NUM_TEXT_MAX];
    return ig_num_format_f64(text, s->values[i]);
}

static size_t write_float(const struct sample *s, int i)
{
    char text[IG_NUM_TEXT_MAX];
    return ig_num_format_f32(text, s->singles[i]);
}

static size_t write_libc(const struct sample *s, int i)
{
    char text[40];
    return (size_t)snprintf(text, sizeof text, "%.17g", s->values[i]);
}

static size_t read_ours(const struct sample *s, int i)
{
    double value = 0;
    ig_num_parse_f64((struct ig_str){s->texts[i], s->lengths[i]}, &value);
    return value > 0;
}

static size_t read_float(const struct sample *s, int i)
{
    float value = 0;
    ig_num_parse_f32((struct ig_str){s->texts[i], s->lengths[i]}, &value);
    return value > 0;
}

static size_t read_libc(const struct sample *s, int i)
{
    return strtod(s->texts[i], NULL) > 0;
}

/* The fastest round, a call. */
static double best_ns(const struct sample *s, size_t (*call)(const struct sample *, int), int times)
{
    double best = INFINITY;
    volatile size_t sink = 0;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t start = ig_clock_ns();
        size_t sum = 0;
        for (int k = 0; k < times; k++)
            for (int i = 0; i < VALUES; i++) sum += call(s, i);
        sink = sink + sum;
        double ns = (double)(ig_clock_ns() - start) / ((double)times * VALUES);
        if (ns < best) best = ns;
    }
    return best;
}

int main(int argc, char **argv)
{
    int times = argc > 1 && strcmp(argv[1], "--smoke") == 0 ? 1 : 10;
    static struct sample sample;
    static const struct {
        const char *name;
        double (*make)(struct ig_rng *);
    } kinds[] = {{"random bits", random_bits},
                 {"contributions", contribution},
                 {"short decimals", short_decimal}};
    printf("%-16s %10s %10s %10s | %10s %10s %10s   ns for one number\n", "", "write f64",
           "write f32", "%.17g", "read f64", "read f32", "strtod");
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        fill(&sample, kinds[i].name, kinds[i].make);
        printf("%-16s %10.1f %10.1f %10.1f | %10.1f %10.1f %10.1f\n", sample.name,
               best_ns(&sample, write_ours, times), best_ns(&sample, write_float, times),
               best_ns(&sample, write_libc, times), best_ns(&sample, read_ours, times),
               best_ns(&sample, read_float, times), best_ns(&sample, read_libc, times));
    }
    return 0;
}
