/* SPDX-License-Identifier: Apache-2.0 */
/* The ring log on a simulated flash with the power cut at every operation and within each, and
 * sketches against counts made otherwise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"

#include "ingot_edge_bundle_testing.h"
#include "ingot_edge_telemetry.h"

#include <math.h>
#include <string.h>

enum { SECTOR = 256, SECTORS = 3, ALL = SECTOR * SECTORS };

static uint8_t bytes[ALL];
static unsigned operations, part; /* until the power goes, and how many eighths of the last */
static bool dead;
static struct ige_log_flash flash;

static size_t reach(size_t size)
{
    if (dead) return 0;
    if (!operations || --operations) return size;
    dead = true;
    return size * part / 8;
}

static int erase(void *context, const uint8_t *sector)
{
    (void)context;
    size_t done = reach(SECTOR);
    memset(bytes + (sector - bytes), 0xff, done);
    return done == SECTOR;
}

static int write(void *context, const uint8_t *place, const void *from, size_t size)
{
    (void)context;
    size_t at = (size_t)(place - bytes), done = reach(size);
    assert_true(size % 8 == 0 && at + size <= ALL);
    for (size_t i = 0; i < done; i++) {
        assert_int_equal(bytes[at + i], 0xff);
        bytes[at + i] = ((const uint8_t *)from)[i];
    }
    return done == size;
}

static void clear(void)
{
    memset(bytes, 0xff, sizeof bytes);
    operations = part = 0;
    dead = false;
    flash = (struct ige_log_flash){.sectors = bytes,
                                   .sector_bytes = SECTOR,
                                   .sectors_count = SECTORS,
                                   .erase = erase,
                                   .write = write};
}

/* Numbers of the records above `after`: they go up one by one to the newest. */
static uint32_t expect_records(const struct ige_log *log, uint32_t after)
{
    uint32_t first = 0, last = after, count = 0;
    size_t size;
    for (const uint8_t *at; (at = ige_log_find(log, last, &size)); count++) {
        uint32_t number = ige_log_number(at);
        if (!first) first = number;
        if (count && number != last + 1) fail_msg("%u behind %u", number, last);
        if (at[IGE_LOG_HEADER_BYTES] != (uint8_t)number) fail_msg("record %u is another", number);
        last = number;
    }
    if (count) assert_int_equal(last, log->next - 1);
    return count;
}

static int add(struct ige_log *log)
{
    uint8_t payload[30];
    memset(payload, (int)(log->next & 0xff), sizeof payload);
    return ige_log_add(log, 'x', payload, sizeof payload);
}

static void test_ring(void **state)
{
    (void)state;
    struct ige_log log;
    uint8_t large[IGE_LOG_PAYLOAD_MAX + 1] = {0};
    clear();
    ige_log_open(&log, &flash);
    assert_int_equal(log.next, 1);
    assert_int_equal(expect_records(&log, 0), 0);
    assert_false(ige_log_add(&log, 'x', large, sizeof large));
    for (uint32_t i = 1; i < 200; i++) {
        assert_true(add(&log));
        ige_log_open(&log, &flash);
        assert_int_equal(log.next, i + 1);
        uint32_t kept = expect_records(&log, 0);
        assert_true(kept >= (i < 9 ? i : 8));
        if (i % 50) continue;
        assert_true(ige_log_ack(&log, i - 3));
        assert_true(ige_log_ack(&log, i - 9)); /* known already */
        ige_log_open(&log, &flash);
        assert_int_equal(log.acked, i - 3);
        assert_int_equal(expect_records(&log, log.acked), 3);
    }
    memset(bytes, 0x5a, sizeof bytes); /* of another program */
    ige_log_open(&log, &flash);
    assert_int_equal(log.next, 1);
    assert_true(add(&log));
    assert_true(ige_log_ack(&log, 500)); /* the server knows more than an erased flash */
    assert_int_equal(log.next, 501);
    assert_true(add(&log));
    ige_log_open(&log, &flash);
    assert_int_equal(log.next, 502);
    assert_int_equal(expect_records(&log, log.acked), 1);
}

/* Whatever the power leaves: what was added before is there, no number comes twice, and it goes
 * on. */
static void test_power_cuts(void **state)
{
    (void)state;
    for (unsigned cut = 1; cut < 60; cut++) {
        for (part = 0; part < 8; part += 3) {
            struct ige_log log;
            unsigned eighths = part;
            clear();
            part = eighths;
            ige_log_open(&log, &flash);
            operations = cut;
            uint32_t added = 0, acked = 0;
            for (int i = 0; i < 40 && !dead; i++) {
                if (add(&log)) added = log.next - 1;
                if (i % 7 == 6 && ige_log_ack(&log, added - 2)) acked = added - 2;
            }
            operations = 0;
            dead = false;
            ige_log_open(&log, &flash);
            if (log.next <= added || log.acked < acked)
                fail_msg("cut %u: next %u, added %u, acked %u of %u", cut, log.next, added,
                         log.acked, acked);
            if (added > 8) assert_true(expect_records(&log, added - 4) >= 4);
            for (int i = 0; i < 20; i++) assert_true(add(&log));
            assert_true(expect_records(&log, 0) >= 7);
        }
    }
}

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float float_of(int32_t key)
{
    float value;
    uint32_t bits = key < 0 ? 0x80000000U - (uint32_t)key : (uint32_t)key;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Every feature's rows fall between its edges as comparing floats says. */
static void test_sketches(void **state)
{
    (void)state;
    struct signed_bundle bundle;
    struct ige_bundle open;
    struct ige_model model;
    struct ige_interpreter interpreter;
    static uint64_t arena[4096];
    struct ig_rng rng;
    struct ige_sketch sketch;
    int used = 0;
    ig_rng_seed(&rng, 3);
    bundle_make(&bundle, &IG_EDGE_SHAPES[6], IG_COMPACT_WANT_INT16, 1);
    assert_int_equal(ige_bundle_open(&open, bundle.bytes.ptr, bundle.bytes.len), IGE_BUNDLE_OK);
    assert_int_equal(ige_load(&model, open.model, open.model_bytes), IGE_OK);
    assert_int_equal(ige_allocate_tensors(&interpreter, &model, arena, sizeof arena), IGE_OK);
    for (uint16_t f = 0; f < model.features; f++) {
        uint32_t counts[IGE_SKETCH_EDGES_MAX + 1] = {0}, missing = 0;
        if (!ige_sketch_of_feature(&sketch, &interpreter, f)) continue;
        used++;
        for (unsigned e = 1; e < sketch.edges_count; e++)
            assert_true(sketch.edges[e] > sketch.edges[e - 1]);
        for (int i = 0; i < 500; i++) {
            float edge = float_of(sketch.edges[ig_rng_below(&rng, sketch.edges_count)]);
            float value = i % 9 == 0 ? NAN : edge + (float)(ig_rng_unit(&rng) - 0.5);
            if (i % 5 == 0) value = edge;
            unsigned bin = 0;
            for (unsigned e = 0; e < sketch.edges_count; e++)
                bin += value >= float_of(sketch.edges[e]);
            if (isnan(value))
                missing++;
            else
                counts[bin]++;
            ige_sketch_add_float(&sketch, bits_of(value));
        }
        assert_memory_equal(counts, sketch.counts, sizeof counts);
        assert_int_equal(sketch.missing, missing);
        assert_int_equal(sketch.rows, 500);
    }
    assert_true(used > 0);
    assert_true(ige_sketch_of_score(&sketch, &open, &interpreter));
    assert_true(sketch.edges_count > 1 && sketch.integers);
    ige_invoke(&interpreter);
    ige_sketch_add_score(&sketch, &interpreter);
    assert_int_equal(sketch.low, ige_output(&interpreter)->data.i32[0]);
    ig_buf_deinit(&bundle.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ring),
        cmocka_unit_test(test_power_cuts),
        cmocka_unit_test(test_sketches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
