/* SPDX-License-Identifier: Apache-2.0 */
/* A fleet: server and agents, from registration over a rollout in waves to one that stops by
 * itself, bundles that devices refuse, telemetry and drift. */
#include "support/live.h"

#include "base/ed25519.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "formats/edge/edge_header.h"
#include "formats/edge/minisign.h"
#include "net/http_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MODEL "tests/golden/xgboost/binary_missing/model.json"

static struct live live;
static struct live_run ran;
static char key[512], other_key[512]; /* minisign's files as text in JSON */
static char early[8], late[8];        /* devices of the first tenth and of the rest */

#define RUN(wanted, ...)                                                                           \
    do {                                                                                           \
        live_run(&ran, &live, (const char *const[]){__VA_ARGS__, NULL});                           \
        if (ran.code != (wanted)) fail_msg("%d: %s%s", ran.code, ran.out, ran.err);                \
    } while (0)

static void expect_text(const char *path, const char *wanted)
{
    if (strcmp(live_text(&live, path), wanted) != 0) fail_msg("%s: %s", path, live_body(&live));
}

static const char *format(const char *pattern, const char *word)
{
    static char texts[4][512];
    static int at;
    at = (at + 1) % 4;
    snprintf(texts[at], sizeof texts[at], pattern, word);
    return texts[at];
}

static void read_key(char out[512], const char *name)
{
    char text[400] = "";
    size_t length = 0;
    FILE *file = fopen(live_path(&live, name), "r");
    assert_non_null(file);
    size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '\n') out[length++] = '\\';
        out[length++] = text[i] == '\n' ? 'n' : text[i];
    }
    out[length] = '\0';
}

/* A file that an agent can start with, and its token. */
static void write_identity(const char *id, const char *token, const char *target, const char *pub)
{
    char text[1400];
    snprintf(text, sizeof text,
             "{\"server\":\"%s\",\"id\":\"%s\",\"token\":\"%s\",\"target\":\"%s\","
             "\"public_key\":\"%s\"}",
             live.url, id, token, target, pub);
    live_write(&live, format("%s.json", id), text);
}

static void register_device(const char *group, const char *id, const char *target, const char *pub)
{
    char body[256];
    snprintf(body, sizeof body, "{\"group\":\"%s\",\"id\":\"%s\"}", group, id);
    EXPECT(201, "POST", "/api/v1/fleet/devices", body);
    write_identity(id, live_text(&live, "token"), target, pub);
}

static const char *device_path(const char *id)
{
    return format("/api/v1/fleet/devices/%s", id);
}

/* One round of an agent; `rows` may be NULL. */
static void agent(int wanted, const char *id, const char *rows, const char *trial_rows)
{
    char dir[160], identity[160];
    snprintf(dir, sizeof dir, "%s", live_path(&live, id));
    snprintf(identity, sizeof identity, "%s", live_path(&live, format("%s.json", id)));
    live_run(&ran, &live,
             (const char *const[]){"edge", "agent", "--dir", dir, "--identity", identity, "--once",
                                   "--slot-kb", "64", "--trial-rows", trial_rows,
                                   rows ? "--input" : NULL, rows, NULL});
    if (ran.code != wanted) fail_msg("%s: %d: %s%s", id, ran.code, ran.out, ran.err);
}

static void make_bundle(const char *name, const char *counter, const char *leaves,
                        const char *target, const char *secret)
{
    char file[160], pem[160];
    snprintf(file, sizeof file, "%s", live_path(&live, name));
    snprintf(pem, sizeof pem, "%s", live_path(&live, secret));
    RUN(0, "edge", "bundle", MODEL, "--output", file, "--secret", pem, "--counter", counter,
        "--leaves", leaves, "--target", target, "--id", "risk");
}

static char digest[80], rollout[40];

static void add_bundle(const char *group, const char *name)
{
    RUN(0, "fleet", "bundle", group, live_path(&live, name));
    const char *at = strstr(ran.out, "\"digest\": \"");
    assert_non_null(at);
    snprintf(digest, sizeof digest, "%.64s", at + strlen("\"digest\": \""));
}

static void start_rollout(const char *group, const char *waves)
{
    char body[256];
    snprintf(body, sizeof body, "{\"digest\":\"%s\",\"waves\":%s,\"halt_percent\":40}", digest,
             waves);
    EXPECT(201, "POST", format("/api/v1/fleet/groups/%s/rollouts", group), body);
    snprintf(rollout, sizeof rollout, "%s", live_text(&live, "id"));
}

static void expect_rollout(const char *state)
{
    EXPECT(200, "GET", format("/api/v1/fleet/rollouts/%s", rollout), NULL);
    expect_text("state", state);
}

static void act(const char *action)
{
    EXPECT(200, "POST", format("/api/v1/fleet/rollouts/%s", rollout),
           format("{\"action\":\"%s\"}", action));
}

static void expect_device(const char *id, const char *state, const char *word, double counter)
{
    EXPECT(200, "GET", device_path(id), NULL);
    expect_text("state", state);
    expect_text("word", word);
    if (live_number(&live, "counter") != counter) fail_msg("%s: %s", id, live_body(&live));
}

static int setup(void **state)
{
    (void)state;
    char base[160];
    live_make(&live);
    live_start(&live, NULL);
    snprintf(base, sizeof base, "%s", live_path(&live, "factory"));
    RUN(0, "edge", "keygen", base);
    RUN(0, "fleet", "group", "meters", "--public", live_path(&live, "factory.pub"), "--target",
        "meter");
    RUN(0, "edge", "keygen", live_path(&live, "other"));
    read_key(key, "factory.pub");
    read_key(other_key, "other.pub");
    for (int i = 0; !early[0] || !late[0]; i++) {
        char id[8];
        snprintf(id, sizeof id, "m%d", i);
        register_device("meters", id, "meter", key);
        EXPECT(200, "GET", device_path(id), NULL);
        memcpy(live_number(&live, "slice_percent") < 10 ? early : late, id, sizeof id);
    }
    live_write(&live, "rows.csv", "0.5,3,100,NaN,0.25,-0.5\n,,,,,\n1.5,0,7,2,-1,139\n");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    live_remove(&live);
    return 0;
}

static void test_waves(void **state)
{
    (void)state;
    char rows[160], margins[512];
    snprintf(rows, sizeof rows, "%s", live_path(&live, "rows.csv"));
    make_bundle("one.igb", "1", "int16", "meter", "factory.pem");
    add_bundle("meters", "one.igb");
    start_rollout("meters", "[10,100]");
    agent(1, late, rows, "0");
    assert_non_null(strstr(ran.out, "error: there is no model yet"));
    agent(0, early, rows, "0");
    snprintf(margins, sizeof margins, "%s", ran.out);
    expect_device(early, "confirmed", "", 1);
    RUN(0, "edge", "run", "--model", MODEL, "--no-header", "--input", rows);
    assert_string_equal(ran.out, margins);
    act("advance");
    agent(0, late, rows, "0");
    assert_string_equal(ran.out, margins);
    act("advance");
    expect_rollout("done");
    assert_true(live_number(&live, "devices.confirmed") == 2);
    EXPECT(200, "GET", format("/api/v1/fleet/devices/%s/history", early), NULL);
    expect_text("events.0.state", "confirmed");
    expect_text("events.1.state", "installed");
    /* without the server: the same */
    char dir[160], identity[160];
    snprintf(dir, sizeof dir, "%s", live_path(&live, late));
    snprintf(identity, sizeof identity, "%s", live_path(&live, format("%s.json", late)));
    RUN(0, "edge", "agent", "--dir", dir, "--identity", identity, "--once", "--slot-kb", "64",
        "--input", rows, "--server", "http://127.0.0.1:9");
    assert_string_equal(ran.out, margins);
    assert_non_null(strstr(ran.err, "offline: "));
}

/* A bundle that nobody confirms: the device goes back by itself, the rollout stops, the others keep
 * what they have, and the old model comes back under a greater counter. */
static void test_reverts(void **state)
{
    (void)state;
    char first[80], why[256];
    snprintf(first, sizeof first, "%s", digest);
    make_bundle("two.igb", "2", "int8", "meter", "factory.pem");
    add_bundle("meters", "two.igb");
    start_rollout("meters", "[10,100]");
    for (int i = 0; i < 3; i++) {
        agent(0, early, NULL, "100");
        expect_device(early, "installed", "", 1);
        expect_rollout("running");
    }
    agent(0, early, NULL, "100");
    expect_device(early, "reverted", "not_confirmed", 1);
    expect_rollout("halted");
    snprintf(why, sizeof why, "%s", live_text(&live, "reason"));
    assert_non_null(strstr(why, "1 of 1 devices went back or refused it"));
    agent(0, late, NULL, "0");
    expect_device(late, "confirmed", "", 1);
    act("abort");
    RUN(0, "fleet", "rollback", "meters", first, "--secret", live_path(&live, "factory.pem"));
    agent(0, early, NULL, "0");
    expect_device(early, "confirmed", "", 3);
    EXPECT(200, "GET", "/metrics", NULL);
    assert_non_null(strstr(live_body(&live), "ingot_fleet_devices{state=\"confirmed\"} 2"));
}

/* What the server does not take, each told apart. */
static void expect_no_bundle(const char *name, const char *message)
{
    RUN(1, "fleet", "bundle", "meters", live_path(&live, name));
    if (!strstr(ran.err, message)) fail_msg("%s: %s", name, ran.err);
}

static void test_server_refuses(void **state)
{
    (void)state;
    make_bundle("replayed.igb", "2", "int8", "meter", "factory.pem");
    expect_no_bundle("replayed.igb", "counter 2 is not above 3");
    make_bundle("camera.igb", "9", "int8", "camera", "factory.pem");
    expect_no_bundle("camera.igb", "for the target 'camera', the group's is 'meter'");
    make_bundle("foreign.igb", "9", "int8", "meter", "other.pem");
    expect_no_bundle("foreign.igb", "it is signed by another key");
    EXPECT(401, "GET", format("/api/v1/fleet/devices/%s/update", early), NULL);
}

/* What devices refuse although the server offers it, told by their words. */
static void test_devices_refuse(void **state)
{
    (void)state;
    make_bundle("nine.igb", "9", "int8", "meter", "factory.pem");
    EXPECT(201, "POST", "/api/v1/fleet/groups",
           format("{\"name\":\"odd\",\"public_key\":\"%s\"}", key));
    register_device("odd", "keyless", "meter", other_key);
    register_device("odd", "camera", "camera", key);
    add_bundle("odd", "nine.igb");
    start_rollout("odd", "[100]");
    agent(0, "keyless", NULL, "0");
    expect_device("keyless", "refused", "other_key", 0);
    expect_rollout("halted");
    act("resume");
    agent(0, "camera", NULL, "0");
    expect_device("camera", "refused", "wrong_target", 0);
    expect_rollout("halted");
}

/* ---- a server that was taken over ---- */

/* It offers one bundle, whatever that is, and hears what the device says. */
static struct {
    struct ig_buf offer, bundle;
    char report[256];
} rogue;

static struct ig_http_decision rogue_request(void *context, struct ig_exchange *exchange)
{
    (void)context;
    (void)exchange;
    return (struct ig_http_decision){IG_HTTP_BUFFER, 1 << 20};
}

static enum ig_http_next rogue_body(void *context, struct ig_exchange *exchange)
{
    struct ig_str path = exchange->request.path, body = exchange->body;
    (void)context;
    if (ig_str_ends(path, IG_STR("/reports")))
        snprintf(rogue.report, sizeof rogue.report, "%.*s", IG_STR_ARGS(body));
    bool asks = ig_str_ends(path, IG_STR("/update"));
    if (asks || ig_str_ends(path, ig_str_view(digest)))
        ig_buf_add_str(&exchange->reply, ig_buf_view(asks ? &rogue.offer : &rogue.bundle));
    else
        ig_buf_add_cstr(&exchange->reply, "{\"telemetry_seq\":1}");
    return IG_HTTP_DONE;
}

/* The bundle of a file under another counter and expiry, rightly signed; offered as counter 99. */
static void offer_rogue(const char *name, uint64_t counter, uint64_t expiry)
{
    unsigned char seed[IG_ED25519_BYTES];
    struct ig_buf pem, signature;
    struct ig_json_out out;
    struct ig_err err = IG_ERR_INIT;
    ig_buf_init(&pem, 4096);
    ig_buf_init(&signature, 4096);
    ig_buf_reset(&rogue.bundle);
    ig_buf_reset(&rogue.offer);
    assert_int_equal(ig_file_read(&rogue.bundle, IG_FILE_CWD, live_path(&live, name), &err), IG_OK);
    ig_edge_header_renew(&rogue.bundle, counter, expiry);
    ig_file_read(&pem, IG_FILE_CWD, live_path(&live, "factory.pem"), &err);
    assert_int_equal(ig_ed25519_pem_read(seed, ig_buf_view(&pem), &err), IG_OK);
    ig_minisign_sign(&signature, seed, ig_buf_view(&rogue.bundle), IG_STR("rogue"), &err);
    ig_sha256_hex(rogue.bundle.ptr, rogue.bundle.len, digest);
    ig_json_out_init(&out, &rogue.offer);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("update"));
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "digest", ig_str_view(digest));
    ig_json_out_kv_i64(&out, "counter", 99);
    ig_json_out_kv_i64(&out, "size_bytes", (int64_t)rogue.bundle.len);
    ig_json_out_kv_str(&out, "signature", ig_buf_view(&signature));
    ig_json_out_object_end(&out);
    ig_json_out_object_end(&out);
    ig_buf_deinit(&pem);
    ig_buf_deinit(&signature);
}

/* One round of a device with it. */
static void meet_rogue(int wanted)
{
    char dir[160], identity[160], url[64];
    struct ig_http_server *server = NULL;
    struct ig_err err = IG_ERR_INIT;
    const struct ig_http_server_options options = {
        .loops = 1, .workers = 2, .handler = {NULL, rogue_request, rogue_body, NULL, NULL, NULL}};
    assert_int_equal(ig_http_server_start(&server, &options, &err), IG_OK);
    snprintf(url, sizeof url, "http://127.0.0.1:%u", ig_http_server_port(server));
    snprintf(dir, sizeof dir, "%s", live_path(&live, late));
    snprintf(identity, sizeof identity, "%s", live_path(&live, format("%s.json", late)));
    RUN(wanted, "edge", "agent", "--dir", dir, "--identity", identity, "--once", "--slot-kb", "64",
        "--server", url);
    ig_http_server_stop(server, 1000);
    ig_http_server_free(server);
}

static void expect_rogue_refused(const char *word)
{
    char wanted[128];
    meet_rogue(0);
    snprintf(wanted, sizeof wanted, "{\"counter\":99,\"state\":\"refused\",\"word\":\"%s\"}", word);
    assert_string_equal(rogue.report, wanted);
}

/* Of the other key's file by itself, as text in JSON. */
static const char *other_signature(void)
{
    static char text[512];
    unsigned char seed[IG_ED25519_BYTES];
    struct ig_buf pem, file, signature;
    struct ig_err err = IG_ERR_INIT;
    ig_buf_init(&pem, 4096);
    ig_buf_init(&file, 4096);
    ig_buf_init(&signature, 4096);
    ig_file_read(&pem, IG_FILE_CWD, live_path(&live, "other.pem"), &err);
    ig_file_read(&file, IG_FILE_CWD, live_path(&live, "other.pub"), &err);
    assert_int_equal(ig_ed25519_pem_read(seed, ig_buf_view(&pem), &err), IG_OK);
    ig_minisign_sign(&signature, seed, ig_buf_view(&file), IG_STR("rogue"), &err);
    ig_buf_add_char(&signature, 0);
    live_write(&live, "other.pub.minisig", signature.ptr);
    read_key(text, "other.pub.minisig");
    ig_buf_deinit(&pem);
    ig_buf_deinit(&file);
    ig_buf_deinit(&signature);
    return text;
}

/* Devices look for themselves at what the server says is newer, or still good. */
static void test_rogue_server(void **state)
{
    (void)state;
    ig_buf_init(&rogue.offer, 1 << 20);
    ig_buf_init(&rogue.bundle, 1 << 20);
    agent(0, late, NULL, "0");
    expect_device(late, "confirmed", "", 3);
    offer_rogue("two.igb", 50, 1000);
    expect_rogue_refused("expired");
    offer_rogue("two.igb", 2, 0);
    expect_rogue_refused("replayed");
    ig_buf_reset(&rogue.offer);
    ig_buf_printf(&rogue.offer,
                  "{\"update\":null,\"telemetry_seq\":1,\"keys\":[{\"public_key\":\"%s\","
                  "\"signature\":\"%s\"}]}",
                  other_key, other_signature());
    meet_rogue(0);
    assert_non_null(strstr(ran.err, "a new key that the device's key has not signed"));
    ig_buf_deinit(&rogue.offer);
    ig_buf_deinit(&rogue.bundle);
    agent(0, late, NULL, "0"); /* and what it had is what it runs */
    expect_device(late, "confirmed", "", 3);
}

/* ---- a new key ---- */

/* Devices that were away follow from key to key, and take what the newest has signed. */
static void test_new_key(void **state)
{
    (void)state;
    char second[160], third[160];
    snprintf(second, sizeof second, "%s", live_path(&live, "second"));
    snprintf(third, sizeof third, "%s", live_path(&live, "third"));
    RUN(0, "edge", "keygen", second);
    RUN(0, "edge", "keygen", third);
    RUN(1, "fleet", "rotate", "meters", "--public", live_path(&live, "second.pub"), "--secret",
        live_path(&live, "factory.pem"));
    assert_non_null(strstr(ran.err, "a rollout of the group is open"));
    EXPECT(200, "GET", "/api/v1/fleet/groups/meters/rollouts", NULL);
    snprintf(rollout, sizeof rollout, "%s", live_text(&live, "rollouts.0.id"));
    act("advance");
    RUN(1, "fleet", "rotate", "meters", "--public", live_path(&live, "second.pub"), "--secret",
        live_path(&live, "other.pem"));
    assert_non_null(strstr(ran.err, "it is signed by another key"));
    RUN(1, "fleet", "rotate", "meters", "--public", live_path(&live, "second.pub"));
    assert_non_null(strstr(ran.err, "second.pub.minisig"));
    RUN(0, "fleet", "rotate", "meters", "--public", live_path(&live, "second.pub"), "--secret",
        live_path(&live, "factory.pem"));
    agent(0, early, NULL, "0");
    assert_non_null(strstr(ran.err, "a new key"));
    RUN(0, "fleet", "rotate", "meters", "--public", live_path(&live, "third.pub"), "--secret",
        live_path(&live, "second.pem"));
    RUN(1, "fleet", "rotate", "meters", "--public", live_path(&live, "factory.pub"), "--secret",
        live_path(&live, "third.pem"));
    assert_non_null(strstr(ran.err, "the group has or had this key"));
    EXPECT(200, "GET", "/api/v1/fleet/groups/meters/keys", NULL);
    assert_true(live_text(&live, "keys.1.signature")[0] != '\0');
    make_bundle("ten.igb", "10", "int8", "meter", "factory.pem");
    expect_no_bundle("ten.igb", "it is signed by another key");
    make_bundle("ten.igb", "10", "int8", "meter", "third.pem");
    add_bundle("meters", "ten.igb");
    start_rollout("meters", "[100]");
    agent(0, early, NULL, "0");
    agent(0, late, NULL, "0");
    expect_device(early, "confirmed", "", 10);
    expect_device(late, "confirmed", "", 10);
    act("advance");
    agent(0, late, NULL, "0"); /* its key is on disk */
    assert_null(strstr(ran.err, "a new key"));
}

static int device_call(const char *token, const char *rest, const char *header)
{
    char path[512], headers[256];
    snprintf(path, sizeof path, "/api/v1/fleet/devices/reader%s", rest);
    snprintf(headers, sizeof headers, "Authorization: Bearer %s\r\n%s", token, header);
    const struct ig_client_call call = {.method = "GET", .path = path, .headers = headers};
    return live_send(&live, &call);
}

/* What any client of its own would send: conditions, ranges, and what is wrong. */
static void test_device_calls(void **state)
{
    (void)state;
    char token[80], hash[IG_SHA256_HEX], header[96], rest[160];
    EXPECT(201, "POST", "/api/v1/fleet/devices", "{\"group\":\"odd\",\"id\":\"reader\"}");
    snprintf(token, sizeof token, "%s", live_text(&live, "token"));
    assert_int_equal(device_call(token, "/update?counter=0", ""), 200);
    ig_sha256_hex(live_body(&live), live.reply.body.len, hash);
    snprintf(header, sizeof header, "If-None-Match: \"%.32s\"\r\n", hash);
    assert_int_equal(device_call(token, "/update?counter=0", header), 304);
    assert_int_equal(live.reply.body.len, 0);
    act("resume");
    assert_int_equal(device_call(token, "/update?counter=0", header), 200);
    expect_text("update.digest", digest);
    assert_int_equal(device_call(token, "/update?counter=9", ""), 200);
    expect_text("update.digest", "");
    assert_int_equal(device_call(token, "/update?counter=x", ""), 400);
    assert_int_equal(device_call(token, "/update?digest=x", ""), 400);
    snprintf(rest, sizeof rest, "/bundles/%s", digest);
    assert_int_equal(device_call(token, rest, ""), 200);
    size_t size = live.reply.body.len;
    char all[16] = "";
    memcpy(all, live_body(&live), 12);
    assert_int_equal(device_call(token, rest, "Range: bytes=4-11\r\n"), 206);
    assert_int_equal(live.reply.body.len, 8);
    assert_memory_equal(live_body(&live), all + 4, 8);
    assert_int_equal(device_call(token, rest, "Range: bytes=-5\r\n"), 206);
    assert_int_equal(live.reply.body.len, 5);
    snprintf(header, sizeof header, "Range: bytes=%zu-\r\n", size);
    assert_int_equal(device_call(token, rest, header), 416);
    assert_int_equal(device_call(token, rest, "Range: lines=1-2\r\n"), 200);
    assert_int_equal(device_call("igd_0", rest, ""), 401);
    snprintf(rest, sizeof rest, "/bundles/%s", hash);
    assert_int_equal(device_call(token, rest, ""), 404);
    EXPECT(200, "DELETE", "/api/v1/fleet/devices/reader/token", NULL);
    assert_int_equal(device_call(token, "/update", ""), 401);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waves),          cmocka_unit_test(test_reverts),
        cmocka_unit_test(test_server_refuses), cmocka_unit_test(test_devices_refuse),
        cmocka_unit_test(test_device_calls),   cmocka_unit_test(test_rogue_server),
        cmocka_unit_test(test_new_key),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
