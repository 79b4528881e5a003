/* SPDX-License-Identifier: Apache-2.0 */
/* Groups, bundles that are refused and taken, devices, rollouts from the first wave to the last and
 * to a halt. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/fleet/fleet_testing.h"

#include "base/clock.h"

static const struct ig_principal *const who = &IG_PRINCIPAL_LOCAL;

static struct ig_world world;
static struct ig_fleet *fleet;
static struct ig_buf key;
static struct ig_err err;

static int setup(void **state)
{
    (void)state;
    ig_world_open(&world);
    err = IG_ERR_INIT;
    ASSERT_OK(ig_fleet_open(&fleet, world.db, world.blobs, &err));
    fleet_public_key(&key);
    const struct ig_fleet_group spec = {.name = IG_STR("meters"),
                                        .target = IG_STR("meter"),
                                        .public_key = ig_buf_view(&key),
                                        .drift_threshold = 0.2};
    ASSERT_OK(ig_fleet_group_create(fleet, who, &spec, &err));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ig_buf_deinit(&key);
    ig_fleet_close(fleet);
    ig_world_close(&world);
    return 0;
}

/* Its digest, in the arena. */
static struct ig_str add_bundle(uint64_t counter)
{
    struct fleet_bundle bundle;
    fleet_bundle_make(&bundle, world.blobs, counter, "meter", 0);
    const struct ig_fleet_bundle_spec spec = {.group = IG_STR("meters"),
                                              .digest = ig_str_view(bundle.digest),
                                              .signature = ig_buf_view(&bundle.signature)};
    ASSERT_OK(ig_fleet_bundle_add(fleet, who, &spec, &err));
    struct ig_str digest = ig_arena_dup(&world.arena, ig_str_view(bundle.digest));
    fleet_bundle_free(&bundle);
    return digest;
}

static struct ig_fleet_device device_at(const char *id)
{
    struct ig_fleet_device device;
    ASSERT_OK(ig_fleet_device_get(&device, fleet, ig_str_view(id), &world.arena, &err));
    return device;
}

static void add_device(const char *id)
{
    struct ig_fleet_registered made;
    const struct ig_fleet_label label = {IG_STR("site"), ig_str_view(id)};
    const struct ig_fleet_device_spec spec = {.id = ig_str_view(id),
                                              .group = IG_STR("meters"),
                                              .target = IG_STR(""),
                                              .labels = &label,
                                              .labels_count = 1};
    ASSERT_OK(ig_fleet_device_register(&made, fleet, who, &spec, &err));
}

/* The counter that the device is offered; 0: nothing. */
static int64_t offered(const char *id, int64_t counter, struct ig_str digest)
{
    struct ig_fleet_device device = device_at(id);
    struct ig_fleet_offer offer;
    const struct ig_fleet_check check = {
        .counter = counter, .digest = digest, .agent = IG_STR("test 1")};
    ASSERT_OK(ig_fleet_check_in(&offer, fleet, &device, &check, &world.arena, &err));
    return offer.update ? offer.bundle.counter : 0;
}

static void report(const char *id, int64_t counter, const char *state, const char *word)
{
    struct ig_fleet_device device = device_at(id);
    const struct ig_fleet_report told = {counter, ig_str_view(state), ig_str_view(word)};
    ASSERT_OK(ig_fleet_device_report(fleet, &device, &told, &err));
}

static char rollout_id[IG_ID_SIZE];

static void start(struct ig_str digest, const struct ig_fleet_plan *plan)
{
    const struct ig_fleet_rollout_spec spec = {IG_STR("meters"), digest, *plan};
    ASSERT_OK(ig_fleet_rollout_start(rollout_id, fleet, who, &spec, &err));
}

static struct ig_fleet_rollout rollout(void)
{
    struct ig_fleet_rollout now;
    ASSERT_OK(ig_fleet_rollout_get(&now, fleet, ig_str_view(rollout_id), &world.arena, &err));
    return now;
}

static enum ig_code act(const char *action)
{
    const struct ig_fleet_action what = {ig_str_view(action), IG_STR("because")};
    return ig_fleet_rollout_act(fleet, who, ig_str_view(rollout_id), &what, &err);
}

static void expect_state(const char *state)
{
    struct ig_fleet_rollout now = rollout();
    if (!ig_str_is(now.state, state)) fail_msg("%.*s, not %s", IG_STR_ARGS(now.state), state);
}

/* ---- groups and bundles ---- */

static void test_groups(void **state)
{
    (void)state;
    struct ig_fleet_group group = {.name = IG_STR("a b"), .public_key = ig_buf_view(&key)};
    struct ig_fleet_groups list;
    const struct ig_fleet_page page = {.after = IG_STR(""), .limit = 10};
    group.drift_threshold = 0.1;
    ASSERT_FAILS(ig_fleet_group_create(fleet, who, &group, &err), IG_INVALID, "group name 'a b'");
    group.name = IG_STR("cams");
    group.target = IG_STR("a kind with a very long name");
    ASSERT_FAILS(ig_fleet_group_create(fleet, who, &group, &err), IG_INVALID, "target: ");
    group.target = IG_STR("");
    group.public_key = IG_STR("none");
    ASSERT_FAILS(ig_fleet_group_create(fleet, who, &group, &err), IG_PARSE, "public_key: ");
    group.public_key = ig_buf_view(&key);
    ASSERT_OK(ig_fleet_group_create(fleet, who, &group, &err));
    ASSERT_FAILS(ig_fleet_group_create(fleet, who, &group, &err), IG_EXISTS, "'cams'");
    ASSERT_OK(ig_fleet_group_list(&list, fleet, &page, &world.arena, &err));
    assert_int_equal(list.count, 2);
    add_device("m0");
    ASSERT_FAILS(ig_fleet_group_delete(fleet, who, IG_STR("meters"), &err), IG_CONFLICT,
                 "has 1 devices");
    ASSERT_OK(ig_fleet_group_delete(fleet, who, IG_STR("cams"), &err));
    ASSERT_FAILS(ig_fleet_group_get(&group, fleet, IG_STR("cams"), &world.arena, &err),
                 IG_NOT_FOUND, "group 'cams' does not exist");
}

/* ---- keys ---- */

static enum ig_code rotate(const unsigned char seed[32], const unsigned char signer[32])
{
    struct ig_buf text, signature;
    fleet_next_key(&text, &signature, seed, signer);
    const struct ig_fleet_key next = {ig_buf_view(&text), ig_buf_view(&signature), 0};
    enum ig_code code = ig_fleet_key_rotate(fleet, who, IG_STR("meters"), &next, &err);
    ig_buf_deinit(&text);
    ig_buf_deinit(&signature);
    return code;
}

static void number_of(char out[17], const unsigned char seed[32])
{
    unsigned char block[IG_MINISIGN_KEY_BYTES];
    struct ig_buf text;
    ig_buf_init(&text, 4096);
    ASSERT_OK(ig_minisign_public_write(&text, seed, &err));
    ASSERT_OK(ig_minisign_public_read(block, ig_buf_view(&text), &err));
    ig_hex(out, block + 2, 8);
    ig_buf_deinit(&text);
}

/* How many keys a device at this one is told, and whether it is offered a bundle. */
static size_t keys_for(bool *update, const unsigned char seed[32])
{
    struct ig_fleet_device device = device_at("m1");
    struct ig_fleet_offer offer;
    char number[17];
    number_of(number, seed);
    const struct ig_fleet_check check = {
        .digest = IG_STR(""), .agent = IG_STR("test 1"), .key = ig_str_view(number)};
    ASSERT_OK(ig_fleet_check_in(&offer, fleet, &device, &check, &world.arena, &err));
    *update = offer.update;
    return offer.keys.count;
}

static void test_keys(void **state)
{
    (void)state;
    static const unsigned char SECOND[32] = {8}, THIRD[32] = {9}, STRANGER[32] = {1};
    struct ig_fleet_group group;
    struct ig_fleet_keys list;
    bool update;
    struct ig_fleet_wave all = {.percent = 100};
    const struct ig_fleet_plan plan = {
        .waves = &all, .waves_count = 1, .halt_percent = 5, .halt_min = 1};
    add_device("m1");
    start(add_bundle(1), &plan);
    ASSERT_FAILS(rotate(SECOND, FLEET_SEED), IG_CONFLICT, "a rollout of the group is open");
    ASSERT_OK(act("advance"));
    ASSERT_FAILS(rotate(SECOND, STRANGER), IG_INVALID, "it is signed by another key");
    ASSERT_FAILS(rotate(FLEET_SEED, FLEET_SEED), IG_INVALID, "the group has or had this key");
    ASSERT_OK(rotate(SECOND, FLEET_SEED));
    ASSERT_OK(rotate(THIRD, SECOND));
    ASSERT_FAILS(rotate(SECOND, THIRD), IG_INVALID, "the group has or had this key");
    ASSERT_FAILS(rotate(STRANGER, SECOND), IG_INVALID, "it is signed by another key");
    ASSERT_OK(ig_fleet_group_get(&group, fleet, IG_STR("meters"), &world.arena, &err));
    ASSERT_OK(ig_fleet_key_list(&list, fleet, IG_STR("meters"), &world.arena, &err));
    assert_int_equal(list.count, 2);
    assert_true(ig_str_eq(list.items[1].public_key, group.public_key));
    /* Whoever is at the newest key, or will be, is not offered what the first one signed. */
    assert_int_equal(keys_for(&update, FLEET_SEED), 2);
    assert_false(update);
    assert_int_equal(keys_for(&update, SECOND), 1);
    assert_int_equal(keys_for(&update, THIRD), 0);
    assert_false(update);
    assert_int_equal(keys_for(&update, STRANGER), 0);
    assert_true(update);
    assert_int_equal(offered("m1", 0, IG_STR("")), 1); /* one that does not tell its key */
}

/* Makes one and offers it to the group, after `spoil` has changed it. */
static void expect_refused(uint64_t counter, const char *target, uint64_t expiry,
                           const char *message)
{
    struct fleet_bundle bundle;
    fleet_bundle_make(&bundle, world.blobs, counter, target, expiry);
    const struct ig_fleet_bundle_spec spec = {.group = IG_STR("meters"),
                                              .digest = ig_str_view(bundle.digest),
                                              .signature = ig_buf_view(&bundle.signature)};
    enum ig_code code = ig_fleet_bundle_add(fleet, who, &spec, &err);
    if (code == IG_OK || !strstr(err.message, message)) fail_msg("%s", err.message);
    ig_err_clear(&err);
    fleet_bundle_free(&bundle);
}

static void test_bundles(void **state)
{
    (void)state;
    struct ig_fleet_bundles list;
    struct fleet_bundle bundle;
    add_bundle(5);
    add_bundle(6);
    expect_refused(6, "meter", 0, "counter 6 is not above 6");
    expect_refused(7, "camera", 0, "for the target 'camera', the group's is 'meter'");
    expect_refused(7, "meter", 1000, "the bundle expired");
    fleet_bundle_make(&bundle, world.blobs, 8, "meter", 0);
    struct ig_fleet_bundle_spec spec = {.group = IG_STR("meters"),
                                        .digest = ig_str_view(bundle.digest),
                                        .signature = IG_STR("nothing")};
    ASSERT_FAILS(ig_fleet_bundle_add(fleet, who, &spec, &err), IG_INVALID, "signature: ");
    char other[IG_SHA256_HEX];
    bundle.bytes.ptr[200] ^= 1;
    ASSERT_OK(ig_blob_put(other, world.blobs, ig_buf_view(&bundle.bytes), &err));
    spec.signature = ig_buf_view(&bundle.signature);
    spec.digest = ig_str_view(other);
    ASSERT_FAILS(ig_fleet_bundle_add(fleet, who, &spec, &err), IG_INVALID, "not what was signed");
    spec.digest = ig_str_view(bundle.digest);
    spec.group = IG_STR("nobody");
    ASSERT_FAILS(ig_fleet_bundle_add(fleet, who, &spec, &err), IG_NOT_FOUND, "'nobody'");
    fleet_bundle_free(&bundle);
    ASSERT_OK(ig_fleet_bundle_list(&list, fleet, IG_STR("meters"), &world.arena, &err));
    assert_int_equal(list.count, 2);
    assert_int_equal(list.items[0].counter, 6);
    assert_true(ig_str_is(list.items[0].id, "risk") && list.items[0].size_bytes == 4112);
}

/* ---- devices ---- */

static void test_devices(void **state)
{
    (void)state;
    struct ig_fleet_registered made, again;
    struct ig_fleet_device device;
    struct ig_fleet_devices list;
    struct ig_fleet_device_spec spec = {
        .id = IG_STR("x"), .group = IG_STR("meters"), .target = IG_STR("camera")};
    ASSERT_FAILS(ig_fleet_device_register(&made, fleet, who, &spec, &err), IG_INVALID,
                 "target: 'camera'");
    spec.target = IG_STR("");
    ASSERT_OK(ig_fleet_device_register(&made, fleet, who, &spec, &err));
    ASSERT_FAILS(ig_fleet_device_register(&again, fleet, who, &spec, &err), IG_EXISTS, "'x'");
    struct ig_str id = IG_STR("x"), token = ig_str_view(made.token);
    ASSERT_OK(ig_fleet_device_authenticate(&device, fleet, id, token, &world.arena, &err));
    assert_true(ig_str_is(device.target, "meter") && device.drift < 0);
    ASSERT_FAILS(
        ig_fleet_device_authenticate(&device, fleet, IG_STR("y"), token, &world.arena, &err),
        IG_UNAUTHENTICATED, "no such device");
    ASSERT_FAILS(
        ig_fleet_device_authenticate(&device, fleet, id, IG_STR("igd_"), &world.arena, &err),
        IG_UNAUTHENTICATED, "no such device");
    ASSERT_OK(ig_fleet_device_renew(&again, fleet, who, id, &err));
    ASSERT_FAILS(ig_fleet_device_authenticate(&device, fleet, id, token, &world.arena, &err),
                 IG_UNAUTHENTICATED, "no such device");
    token = ig_str_view(again.token);
    ASSERT_OK(ig_fleet_device_authenticate(&device, fleet, id, token, &world.arena, &err));
    ASSERT_OK(ig_fleet_device_revoke(fleet, who, id, &err));
    ASSERT_FAILS(ig_fleet_device_authenticate(&device, fleet, id, token, &world.arena, &err),
                 IG_UNAUTHENTICATED, "no such device");
    add_device("y");
    struct ig_fleet_filter filter = {.page = {.after = IG_STR("")},
                                     .group = IG_STR("meters"),
                                     .state = IG_STR(""),
                                     .label = {IG_STR("site"), IG_STR("y")}};
    ASSERT_OK(ig_fleet_device_list(&list, fleet, &filter, &world.arena, &err));
    assert_int_equal(list.count, 1);
    assert_true(ig_str_is(list.items[0].id, "y") && list.items[0].labels_count == 1);
    filter.label.name = IG_STR("");
    filter.page.after = IG_STR("x");
    ASSERT_OK(ig_fleet_device_list(&list, fleet, &filter, &world.arena, &err));
    assert_int_equal(list.count, 1);
    filter.drifting = true;
    ASSERT_OK(ig_fleet_device_list(&list, fleet, &filter, &world.arena, &err));
    assert_int_equal(list.count, 0);
    ASSERT_OK(ig_fleet_device_delete(fleet, who, id, &err));
    ASSERT_FAILS(ig_fleet_device_get(&device, fleet, id, &world.arena, &err), IG_NOT_FOUND, "'x'");
}

/* ---- rollouts ---- */

static const struct ig_str FIRST[] = {{"a", 1}};
static const struct ig_fleet_wave WAVES[] = {{.devices = FIRST, .devices_count = 1},
                                             {.percent = 100}};
static const struct ig_fleet_plan PLAN = {
    .waves = WAVES, .waves_count = 2, .halt_percent = 20, .halt_min = 1};

static void test_rollout(void **state)
{
    (void)state;
    struct ig_fleet_events events;
    struct ig_str none = IG_STR(""), one = add_bundle(1), two;
    struct ig_fleet_offer offer;
    char digest[IG_SHA256_HEX];
    const char *const ids[] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++) add_device(ids[i]);
    assert_int_equal(offered("a", 0, none), 0);
    start(one, &PLAN);
    assert_int_equal(offered("a", 0, none), 1);
    assert_int_equal(offered("b", 0, none), 0);
    ASSERT_FAILS(act("resume"), IG_CONFLICT, "the rollout is running, which forbids 'resume'");
    ASSERT_FAILS(act("explode"), IG_INVALID, "action: 'explode'");
    ASSERT_OK(act("pause"));
    assert_int_equal(offered("a", 0, none), 0);
    ASSERT_OK(act("resume"));
    report("a", 1, "installed", "");
    report("a", 1, "confirmed", "");
    report("a", 1, "confirmed", "");
    ASSERT_OK(ig_fleet_device_history(&events, fleet, IG_STR("a"), &world.arena, &err));
    assert_int_equal(events.count, 2);
    assert_int_equal(offered("a", 1, one), 0);
    ASSERT_OK(act("advance"));
    assert_int_equal(offered("b", 0, none), 1);
    ASSERT_OK(act("advance"));
    expect_state("done");
    assert_int_equal(offered("c", 0, none), 1); /* of what is done */
    report("b", 1, "confirmed", "");
    report("c", 1, "confirmed", "");
    assert_int_equal(rollout().by_state[IG_FLEET_CONFIRMED], 3);
    const struct ig_fleet_rollout_spec again = {IG_STR("meters"), one, PLAN};
    ASSERT_FAILS(ig_fleet_rollout_start(rollout_id, fleet, who, &again, &err), IG_CONFLICT,
                 "counter 1 is not above 1");
    two = add_bundle(2);
    start(two, &PLAN);
    struct ig_fleet_device device = device_at("a");
    const struct ig_fleet_check check = {.counter = 1, .digest = one, .agent = IG_STR("t")};
    ASSERT_OK(ig_fleet_check_in(&offer, fleet, &device, &check, &world.arena, &err));
    assert_true(offer.update && offer.delta && offer.delta_bytes < offer.bundle.size_bytes / 5);
    ASSERT_OK(ig_fleet_download(digest, fleet, &device, two, one, &err));
    assert_true(strcmp(digest, two.ptr) != 0);
    ASSERT_OK(ig_fleet_download(digest, fleet, &device, two, none, &err));
    assert_memory_equal(digest, two.ptr, two.len);
    ASSERT_FAILS(ig_fleet_download(digest, fleet, &device, IG_STR("x"), none, &err), IG_INVALID,
                 "x");
}

/* Too many that go back: it stops by itself, the others keep what they have, and a bundle with a
 * greater counter brings the old model back. */
static void test_halt(void **state)
{
    (void)state;
    struct ig_str one = add_bundle(1), two, three;
    const char *const ids[] = {"a", "b", "c", "d"};
    struct ig_fleet_plan all = PLAN;
    all.waves = WAVES + 1;
    all.waves_count = 1;
    for (int i = 0; i < 4; i++) add_device(ids[i]);
    start(one, &all);
    for (int i = 0; i < 4; i++) report(ids[i], 1, "confirmed", "");
    ASSERT_OK(act("advance"));
    two = add_bundle(2);
    start(two, &all);
    for (int i = 0; i < 3; i++) assert_int_equal(offered(ids[i], 1, one), 2);
    report("a", 2, "confirmed", "");
    expect_state("running");
    report("b", 2, "reverted", "not_confirmed");
    expect_state("halted");
    assert_true(ig_str_starts(rollout().reason, IG_STR("1 of 2 devices went back")));
    assert_int_equal(offered("c", 1, one), 0);
    assert_int_equal(offered("b", 1, one), 0);
    struct ig_fleet_members members;
    const struct ig_fleet_page page = {.after = IG_STR(""), .limit = 10};
    ASSERT_OK(ig_fleet_rollout_members(&members, fleet, ig_str_view(rollout_id), &page,
                                       &world.arena, &err));
    assert_int_equal(members.count, 3);
    assert_true(ig_str_is(members.items[1].word, "not_confirmed"));
    ASSERT_OK(act("resume"));
    assert_int_equal(offered("c", 1, one), 2);
    assert_int_equal(offered("b", 1, one), 0); /* not again */
    ASSERT_OK(act("abort"));
    ASSERT_FAILS(act("resume"), IG_CONFLICT, "is aborted");
    three = add_bundle(3);
    start(three, &all);
    for (int i = 0; i < 4; i++) assert_int_equal(offered(ids[i], i ? 1 : 2, one), 3);
    struct ig_fleet_counts counts;
    ASSERT_OK(ig_fleet_count(&counts, fleet, &err));
    assert_int_equal(counts.devices, 4);
    assert_int_equal(counts.seen_last_hour, 4);
    assert_int_equal(counts.by_state[IG_FLEET_CONFIRMED], 3);
    assert_int_equal(counts.by_state[IG_FLEET_REVERTED], 1);
}

static void test_reports_refused(void **state)
{
    (void)state;
    add_device("a");
    struct ig_fleet_device device = device_at("a");
    struct ig_fleet_report told = {0, IG_STR("confirmed"), IG_STR("")};
    ASSERT_FAILS(ig_fleet_device_report(fleet, &device, &told, &err), IG_INVALID, "counter: 0");
    told.counter = 1;
    told.state = IG_STR("offered");
    ASSERT_FAILS(ig_fleet_device_report(fleet, &device, &told, &err), IG_INVALID, "state: ");
    told.state = IG_STR("refused");
    told.word = IG_STR("mood");
    ASSERT_FAILS(ig_fleet_device_report(fleet, &device, &told, &err), IG_INVALID, "word: 'mood'");
    told.word = IG_STR("replayed");
    ASSERT_OK(ig_fleet_device_report(fleet, &device, &told, &err));
    assert_true(ig_str_is(device_at("a").word, "replayed"));
}

/* A store that fails at the n-th call: the call fails, and says so, or all of it is done. */
static void test_store_fails(void **state)
{
    (void)state;
    struct ig_str one = add_bundle(1);
    struct ig_fleet_plan all = {
        .waves = WAVES + 1, .waves_count = 1, .halt_percent = 20, .halt_min = 1};
    add_device("a");
    start(one, &all);
    struct ig_fleet_device device = device_at("a");
    const struct ig_fleet_report told = {1, IG_STR("refused"), IG_STR("expired")};
    const struct ig_fleet_check check = {.digest = IG_STR(""), .agent = IG_STR("t")};
    struct ig_fleet_offer offer;
    bool failed = true;
    for (uint64_t n = 1; failed; n++) {
        ig_db_fail_after(n);
        enum ig_code code = ig_fleet_check_in(&offer, fleet, &device, &check, &world.arena, &err);
        failed = ig_db_failed();
        ig_db_fail_after(0);
        assert_true(failed ? code != IG_OK : code == IG_OK && offer.update);
        ig_err_clear(&err);
        assert_true(n < 100);
    }
    failed = true;
    for (uint64_t n = 1; failed; n++) {
        ig_db_fail_after(n);
        enum ig_code code = ig_fleet_device_report(fleet, &device, &told, &err);
        failed = ig_db_failed();
        ig_db_fail_after(0);
        assert_true(failed ? code != IG_OK : code == IG_OK);
        ig_err_clear(&err);
        if (failed) assert_true(rollout().by_state[IG_FLEET_REFUSED] == 0);
        assert_true(n < 100);
    }
    expect_state("halted");
}

static enum ig_code age_waves(struct ig_db_tx *tx, void *context, struct ig_err *error)
{
    (void)context;
    return ig_db_exec(tx, "update fleet_rollouts set wave_ms = wave_ms - 60000", NULL, 0, error);
}

/* The next wave by itself, once a device has confirmed and the time is over. */
static void test_soak(void **state)
{
    (void)state;
    struct ig_str one = add_bundle(1), none = IG_STR("");
    struct ig_fleet_plan plan = PLAN;
    plan.soak_s = 60;
    add_device("a");
    add_device("b");
    start(one, &plan);
    ASSERT_OK(ig_db_write(world.db, age_waves, NULL, &err));
    assert_int_equal(offered("b", 0, none), 0); /* nobody has confirmed */
    report("a", 1, "confirmed", "");
    assert_int_equal(offered("b", 0, none), 1);
    assert_int_equal(rollout().wave, 2);
}

static void test_plans(void **state)
{
    (void)state;
    struct ig_fleet_wave wave = {.percent = 10};
    struct ig_fleet_plan plan = {.waves = &wave, .waves_count = 1, .halt_min = 2};
    char id[16];
    int in = 0;
    for (int i = 0; i < 10000; i++) {
        snprintf(id, sizeof id, "device-%d", i);
        struct ig_str name = ig_str_view(id);
        bool tenth = ig_fleet_plan_has(&plan, 1, name, ig_fleet_slice(name));
        wave.percent = 20;
        if (tenth) assert_true(ig_fleet_plan_has(&plan, 1, name, ig_fleet_slice(name)));
        wave.percent = 10;
        in += tenth;
    }
    if (in < 900 || in > 1100) fail_msg("%d of 10000", in);
    assert_int_equal(ig_fleet_slice(IG_STR("device-1")), ig_fleet_slice(IG_STR("device-1")));
    plan.halt_percent = 50;
    assert_false(ig_fleet_plan_halts(&plan, 0, 1));
    assert_true(ig_fleet_plan_halts(&plan, 0, 2));
    assert_false(ig_fleet_plan_halts(&plan, 2, 2));
    wave.percent = 101;
    ASSERT_FAILS(ig_fleet_plan_check(&plan, &err), IG_INVALID, "waves: 101");
    plan.waves_count = 0;
    ASSERT_FAILS(ig_fleet_plan_check(&plan, &err), IG_INVALID, "waves: 0 of them");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_groups),      TEST(test_bundles), TEST(test_devices),
        TEST(test_rollout),     TEST(test_halt),    TEST(test_reports_refused),
        TEST(test_store_fails), TEST(test_soak),    TEST(test_plans),
        TEST(test_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
