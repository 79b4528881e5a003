/* SPDX-License-Identifier: Apache-2.0 */
/* Slots on a simulated flash: updates, trials, ways back, and the power cut at every write and
 * erasure and within each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "formats/edge/edge_delta.h"

#include "ingot_edge_bundle_testing.h"
#include "ingot_edge_delta.h"
#include "ingot_edge_slots.h"

#include <stdlib.h>
#include <string.h>

enum { SECTOR = 1024, SLOT = 8 * SECTOR, RECORDS = 256, ALL = 2 * SLOT + 2 * RECORDS };

/* Bytes that can be cleared bit by bit and set by the sector only; the power goes at an operation.
 */
struct flash {
    uint8_t bytes[ALL];
    struct ige_flash face;
    unsigned operations; /* until the power goes; 0: it stays */
    unsigned part;       /* of eighths that the last operation still does */
    bool dead;
};

static struct flash flash;
static uint64_t arena[512];
static uint8_t key[IGE_KEY_BYTES];
static struct signed_bundle first, second;
static struct ig_buf delta; /* from the first to the second */

/* How many of `size` bytes the operation does. */
static size_t reach(size_t size)
{
    if (flash.dead) return 0;
    if (!flash.operations || --flash.operations) return size;
    flash.dead = true;
    return size * flash.part / 8;
}

static int erase(void *context, const uint8_t *sector)
{
    (void)context;
    size_t at = (size_t)(sector - flash.bytes);
    size_t size = at < 2 * SLOT ? SECTOR : RECORDS;
    size_t done = reach(size);
    memset(flash.bytes + at, 0xff, done);
    return done == size;
}

static int write(void *context, const uint8_t *place, const void *bytes, size_t size)
{
    (void)context;
    size_t at = (size_t)(place - flash.bytes), done = reach(size);
    for (size_t i = 0; i < done; i++) {
        if (flash.bytes[at + i] != 0xff)
            fail_msg("a write over what is not erased, at %zu", at + i);
        flash.bytes[at + i] = ((const uint8_t *)bytes)[i];
    }
    return done == size;
}

static void clear(void)
{
    memset(&flash, 0xff, sizeof flash.bytes);
    flash.operations = flash.part = 0;
    flash.dead = false;
    flash.face =
        (struct ige_flash){.slots = {flash.bytes, flash.bytes + SLOT},
                           .records = {flash.bytes + 2 * SLOT, flash.bytes + 2 * SLOT + RECORDS},
                           .slot_bytes = SLOT,
                           .sector_bytes = SECTOR,
                           .records_bytes = RECORDS,
                           .erase = erase,
                           .write = write};
}

static enum ige_bundle_status start(struct ige_slots *slots)
{
    struct ige_device device = {
        .key = key, .target = "meter", .arena = arena, .arena_bytes = sizeof arena};
    struct ige_flash *face = &flash.face;
    face->sector_bytes = SECTOR;
    return ige_slots_start(slots, face, &device);
}

static enum ige_bundle_status update(struct ige_slots *slots, const struct signed_bundle *bundle)
{
    enum { PART = 1000 };
    size_t size = bundle->bytes.len;
    if (!ige_slots_begin(slots, size)) return IGE_BUNDLE_BROKEN;
    for (size_t at = 0; at < size; at += PART) {
        size_t part = size - at < PART ? size - at : PART;
        if (!ige_slots_write(slots, bundle->bytes.ptr + at, part)) return IGE_BUNDLE_BROKEN;
    }
    return ige_slots_finish(slots, bundle->signature);
}

static int begin_update(void *context, size_t size)
{
    return ige_slots_begin(context, size);
}

static int write_update(void *context, const void *bytes, size_t size)
{
    return ige_slots_write(context, bytes, size);
}

/* The second bundle by the delta; the power may go in between as anywhere else. */
static enum ige_bundle_status update_by_delta(struct ige_slots *slots)
{
    enum { PART = 301 };
    struct ige_delta state;
    const struct ige_delta_sink sink = {
        .begin = begin_update, .write = write_update, .context = slots};
    uint32_t size = 0;
    const uint8_t *old = ige_slots_confirmed(slots, &size);
    if (!old) return IGE_BUNDLE_BROKEN;
    ige_delta_start(&state, old, size, &sink);
    for (size_t at = 0; at < delta.len; at += PART)
        ige_delta_feed(&state, delta.ptr + at, delta.len - at < PART ? delta.len - at : PART);
    if (ige_delta_finish(&state, ige_slots_incoming(slots)) != IGE_DELTA_OK)
        return IGE_BUNDLE_BROKEN;
    return ige_slots_finish(slots, second.signature);
}

/* The counter of what runs; 0: nothing does. */
static uint64_t running(void)
{
    struct ige_slots slots;
    return start(&slots) == IGE_BUNDLE_OK ? slots.bundle.counter : 0;
}

static void install_first(void)
{
    struct ige_slots slots;
    clear();
    assert_int_equal(start(&slots), IGE_BUNDLE_BROKEN);
    assert_int_equal(update(&slots, &first), IGE_BUNDLE_OK);
    assert_int_equal(start(&slots), IGE_BUNDLE_OK);
    assert_int_equal(slots.bundle.counter, 1);
    assert_true(ige_slots_confirm(&slots));
}

static void test_trial_and_way_back(void **state)
{
    (void)state;
    struct ige_slots slots;
    install_first();
    assert_int_equal(start(&slots), IGE_BUNDLE_OK);
    assert_int_equal(update(&slots, &first), IGE_BUNDLE_REPLAYED);
    assert_int_equal(running(), 1);
    assert_int_equal(start(&slots), IGE_BUNDLE_OK);
    assert_int_equal(update(&slots, &second), IGE_BUNDLE_OK);
    for (int i = 0; i < IGE_SLOTS_TRIES; i++) assert_int_equal(running(), 2);
    assert_int_equal(running(), 1); /* nobody has confirmed it */
    assert_int_equal(running(), 1);
    assert_int_equal(start(&slots), IGE_BUNDLE_OK);
    assert_false(ige_slots_confirm(&slots));
    assert_int_equal(update(&slots, &second), IGE_BUNDLE_OK);
    assert_int_equal(start(&slots), IGE_BUNDLE_OK);
    assert_true(ige_slots_confirm(&slots));
    for (int i = 0; i < 9; i++) assert_int_equal(running(), 2);
    assert_int_equal(start(&slots), IGE_BUNDLE_OK);
    assert_int_equal(update(&slots, &first), IGE_BUNDLE_REPLAYED);
    assert_int_equal(running(), 2);
}

static void test_refused_updates(void **state)
{
    (void)state;
    struct ige_slots slots;
    install_first();
    assert_int_equal(start(&slots), IGE_BUNDLE_OK);
    assert_false(ige_slots_begin(&slots, SLOT));
    second.signature[20] ^= 1;
    assert_int_equal(update(&slots, &second), IGE_BUNDLE_BAD_SIGNATURE);
    second.signature[20] ^= 1;
    assert_true(ige_slots_begin(&slots, 100));
    assert_false(ige_slots_write(&slots, second.bytes.ptr, 101));
    assert_int_equal(ige_slots_finish(&slots, second.signature), IGE_BUNDLE_BROKEN);
    assert_int_equal(running(), 1);
}

/* An update with the power going at one operation; true when it came to its end before that. */
static bool cut_at(unsigned operation, unsigned part, bool by_delta)
{
    struct ige_slots slots;
    install_first();
    flash.operations = operation;
    flash.part = part;
    bool whole = start(&slots) == IGE_BUNDLE_OK &&
                 (by_delta ? update_by_delta(&slots) : update(&slots, &second)) == IGE_BUNDLE_OK &&
                 start(&slots) == IGE_BUNDLE_OK && slots.bundle.counter == 2 &&
                 ige_slots_confirm(&slots);
    bool ended = whole && !flash.dead;
    flash.operations = 0;
    flash.dead = false;
    uint64_t counter = running();
    if (counter != 1 && counter != 2) fail_msg("cut at %u, %u of 8: nothing runs", operation, part);
    if (whole && counter != 2) fail_msg("cut at %u: a confirmed model is gone", operation);
    /* and it can be updated again, whatever was left */
    assert_int_equal(start(&slots), IGE_BUNDLE_OK);
    if (slots.device.counter < 2) {
        assert_int_equal(by_delta ? update_by_delta(&slots) : update(&slots, &second),
                         IGE_BUNDLE_OK);
        assert_int_equal(start(&slots), IGE_BUNDLE_OK);
        assert_true(ige_slots_confirm(&slots));
    }
    assert_int_equal(running(), 2);
    return ended;
}

static void test_power_cuts(void **state)
{
    (void)state;
    unsigned operation = 0;
    bool ended = false;
    while (!ended) {
        operation++;
        for (unsigned part = 0; part < 8; part += 3) ended = cut_at(operation, part, false);
        assert_true(operation < 100);
    }
    assert_true(operation > 10);
}

/* Writes are of 64 bytes then: each of the first and last ones is cut, of those between a few. */
static void test_power_cuts_by_delta(void **state)
{
    (void)state;
    unsigned operation = 0, step = getenv("INGOT_LONG") ? 1 : 29;
    bool ended = false;
    while (!ended) {
        operation += operation < 16 ? 1 : step;
        ended = cut_at(operation, operation % 8, true);
        assert_true(operation < 1000);
    }
    assert_true(operation > 40);
}

/* So many records that both sectors are used again and again, the power going in between. */
static void test_records_wrap(void **state)
{
    (void)state;
    struct ige_slots slots;
    install_first();
    for (unsigned i = 0; i < 80; i++) {
        assert_int_equal(start(&slots), IGE_BUNDLE_OK);
        slots.flash = &flash.face;
        flash.operations = i % 5 == 4 ? 1 : 0;
        flash.part = i % 8;
        struct ige_slots trial = slots;
        trial.trial = 0; /* the slot in use, on trial beside itself: a record and no more */
        trial.bundle = slots.bundle;
        ige_slots_confirm(&trial);
        flash.operations = 0;
        flash.dead = false;
        assert_int_equal(running(), 1);
    }
    assert_true(slots.sequence > 40);
}

static int setup(void **state)
{
    (void)state;
    bundle_key(key);
    bundle_make(&first, &IG_EDGE_SHAPES[6], IG_COMPACT_WANT_INT16, 1);
    bundle_make(&second, &IG_EDGE_SHAPES[7], IG_COMPACT_WANT_INT8, 2);
    struct ig_err err = IG_ERR_INIT;
    ig_buf_init(&delta, 1 << 20);
    if (ig_edge_delta_write(&delta, ig_buf_view(&first.bytes), ig_buf_view(&second.bytes), &err) !=
        IG_OK)
        return -1;
    return second.bytes.len < SLOT - 8 ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    ig_buf_deinit(&first.bytes);
    ig_buf_deinit(&second.bytes);
    ig_buf_deinit(&delta);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trial_and_way_back), cmocka_unit_test(test_refused_updates),
        cmocka_unit_test(test_power_cuts),         cmocka_unit_test(test_power_cuts_by_delta),
        cmocka_unit_test(test_records_wrap),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
