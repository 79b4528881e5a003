/* SPDX-License-Identifier: Apache-2.0 */
/* Records count once, gaps are told, and a device whose rows are others than its group's, or than
 * its bundle's baseline, drifts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "formats/edge/edge_telemetry.h"
#include "services/fleet/fleet_telemetry.h"
#include "services/fleet/fleet_testing.h"

#include <math.h>

static const struct ig_principal *const who = &IG_PRINCIPAL_LOCAL;
static const uint32_t USUAL[3] = {50, 30, 20}, OTHER[3] = {5, 5, 90}, FEW[3] = {1, 0, 0};

static struct ig_world world;
static struct ig_fleet *fleet;
static struct ig_err err;
static struct ig_buf records;
static char digest[IG_SHA256_HEX];

static int setup(void **state)
{
    (void)state;
    struct ig_buf key;
    struct fleet_bundle bundle;
    ig_world_open(&world);
    err = IG_ERR_INIT;
    ASSERT_OK(ig_fleet_open(&fleet, world.db, world.blobs, &err));
    fleet_public_key(&key);
    const struct ig_fleet_group spec = {.name = IG_STR("meters"),
                                        .target = IG_STR(""),
                                        .public_key = ig_buf_view(&key),
                                        .drift_threshold = 0.2};
    ASSERT_OK(ig_fleet_group_create(fleet, who, &spec, &err));
    fleet_bundle_make(&bundle, world.blobs, 3, "", 0);
    const struct ig_fleet_bundle_spec taken = {.group = IG_STR("meters"),
                                               .digest = ig_str_view(bundle.digest),
                                               .signature = ig_buf_view(&bundle.signature)};
    ASSERT_OK(ig_fleet_bundle_add(fleet, who, &taken, &err));
    memcpy(digest, bundle.digest, sizeof digest);
    fleet_bundle_free(&bundle);
    ig_buf_deinit(&key);
    for (int i = 0; i < 3; i++) {
        struct ig_fleet_registered made;
        const char *const ids[] = {"a", "b", "c"};
        const struct ig_fleet_device_spec device = {
            .id = ig_str_view(ids[i]), .group = IG_STR("meters"), .target = IG_STR("")};
        ASSERT_OK(ig_fleet_device_register(&made, fleet, who, &device, &err));
    }
    ig_buf_init(&records, 1 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ig_buf_deinit(&records);
    ig_fleet_close(fleet);
    ig_world_close(&world);
    return 0;
}

static struct ig_fleet_device device_at(const char *id)
{
    struct ig_fleet_device device;
    ASSERT_OK(ig_fleet_device_get(&device, fleet, ig_str_view(id), &world.arena, &err));
    return device;
}

static struct ig_fleet_upload upload(const char *id)
{
    struct ig_fleet_device device = device_at(id);
    struct ig_fleet_upload done;
    ASSERT_OK(ig_fleet_telemetry_add(&done, fleet, &device, ig_buf_view(&records), &err));
    return done;
}

static struct ig_fleet_drift drift(const char *id)
{
    struct ig_fleet_drift now;
    ASSERT_OK(ig_fleet_drift_get(&now, fleet, ig_str_view(id), &world.arena, &err));
    return now;
}

static void send(const char *id, uint32_t number, const uint32_t counts[3])
{
    ig_buf_reset(&records);
    fleet_record(&records, number, 3, 0, counts);
    fleet_record(&records, number + 1, 3, IG_EDGE_SKETCH_SCORE, USUAL);
    upload(id);
}

static void test_once(void **state)
{
    (void)state;
    fleet_record(&records, 1, 3, 7, USUAL);
    fleet_record(&records, 2, 3, 8, USUAL);
    struct ig_fleet_upload done = upload("a");
    assert_true(done.seq == 2 && done.taken == 2 && !done.repeated && !done.lost);
    done = upload("a");
    assert_true(done.seq == 2 && !done.taken && done.repeated == 2);
    fleet_record(&records, 6, 3, 7, USUAL);
    done = upload("a");
    assert_true(done.seq == 6 && done.taken == 1 && done.repeated == 2 && done.lost == 3);
    struct ig_fleet_drift now = drift("a");
    assert_int_equal(now.count, 2);
    assert_int_equal(now.parts[0].rows, 200); /* not 300 */
    assert_int_equal(now.parts[1].rows, 100);
    assert_true(now.parts[0].low == -5 && now.parts[0].high == 20);
    assert_int_equal(device_at("a").telemetry_lost, 3);
    assert_int_equal(device_at("a").telemetry_seq, 6);
}

static void test_refusals(void **state)
{
    (void)state;
    struct ig_fleet_device device = device_at("a");
    struct ig_fleet_upload done;
    fleet_record(&records, 1, 3, 7, USUAL);
    fleet_record(&records, 1, 3, 7, USUAL);
    ASSERT_FAILS(ig_fleet_telemetry_add(&done, fleet, &device, ig_buf_view(&records), &err),
                 IG_INVALID, "record 1 behind 1");
    records.len /= 2;
    records.ptr[30] ^= 1;
    ASSERT_FAILS(ig_fleet_telemetry_add(&done, fleet, &device, ig_buf_view(&records), &err),
                 IG_INVALID, "the checksum of record 1");
    records.len = 20;
    ASSERT_FAILS(ig_fleet_telemetry_add(&done, fleet, &device, ig_buf_view(&records), &err),
                 IG_INVALID, "no whole record");
    assert_int_equal(device_at("a").telemetry_seq, 0);
    ig_buf_reset(&records);
    fleet_record(&records, 1, 3, 7, USUAL);
    records.ptr[2] = 'z'; /* of a kind to come; its sum is another then */
    uLong sum = crc32_z(crc32_z(0, (unsigned char *)records.ptr, 12),
                        (unsigned char *)records.ptr + 16, 52);
    for (int i = 0; i < 4; i++) records.ptr[12 + i] = (char)(sum >> (8 * i));
    fleet_record(&records, 2, 99, 7, USUAL); /* of a bundle that the group does not have */
    done = upload("a");
    assert_true(done.ignored == 2 && done.seq == 2);
}

static void test_drift_from_group(void **state)
{
    (void)state;
    struct ig_fleet_devices list;
    send("a", 1, USUAL);
    assert_true(drift("a").index < 0); /* there is nobody else */
    send("b", 1, USUAL);
    struct ig_fleet_drift now = drift("b");
    assert_true(!now.baseline && now.index >= 0 && now.index < 0.01);
    send("c", 1, OTHER);
    now = drift("c");
    assert_int_equal(now.count, 2);
    assert_true(now.index > 1 && now.parts[0].index == now.index && now.parts[1].feature == -1);
    assert_int_equal(device_at("c").drift_feature, 0);
    struct ig_fleet_filter filter = {.page = {.after = IG_STR("")},
                                     .group = IG_STR(""),
                                     .state = IG_STR(""),
                                     .label = {IG_STR(""), IG_STR("")},
                                     .drifting = true};
    ASSERT_OK(ig_fleet_device_list(&list, fleet, &filter, &world.arena, &err));
    assert_int_equal(list.count, 1);
    assert_true(ig_str_is(list.items[0].id, "c"));
    struct ig_fleet_counts counts;
    ASSERT_OK(ig_fleet_count(&counts, fleet, &err));
    assert_int_equal(counts.drifting, 1);
}

static void test_drift_from_baseline(void **state)
{
    (void)state;
    struct ig_str bundle = ig_str_view(digest), group = IG_STR("meters");
    ASSERT_FAILS(ig_fleet_baseline_set(fleet, who, group, bundle, IG_STR(""), &err), IG_INVALID,
                 "it holds no sketch");
    fleet_record(&records, 1, 3, 0, OTHER);
    ASSERT_OK(ig_fleet_baseline_set(fleet, who, group, bundle, ig_buf_view(&records), &err));
    ASSERT_OK(ig_fleet_baseline_set(fleet, who, group, bundle, ig_buf_view(&records), &err));
    send("a", 1, OTHER);
    struct ig_fleet_drift now = drift("a");
    assert_true(now.baseline && now.index < 1e-9);
    assert_true(isnan(now.parts[1].index)); /* the baseline has no scores */
    send("b", 1, USUAL);
    assert_true(drift("b").index > 1);
    send("c", 1, FEW);
    assert_true(drift("c").index < 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_once),
        TEST(test_refusals),
        TEST(test_drift_from_group),
        TEST(test_drift_from_baseline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
