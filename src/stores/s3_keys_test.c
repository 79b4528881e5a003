/* SPDX-License-Identifier: Apache-2.0 */
/* Keys from the services that give them: one small server speaks as all three do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "stores/s3_client.h"
#include "stores/s3_keys.h"
#include "stores/temp_testing.h"
#include "support/s3_server.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>

static struct s3_server s3_server;
static struct ig_s3_http *http;
static struct ig_err err;
static struct ig_s3_keys keys;
static struct ig_temp temp;
static char place[64]; /* "http://127.0.0.1:PORT" */
static int listening = -1;
static atomic_int given, lifetime_s;
static atomic_bool away;

/* ---- the services ---- */

static void give(char *reply, size_t size, bool xml)
{
    char until[IG_CLOCK_ISO_SIZE];
    int number = atomic_fetch_add(&given, 1) + 1;
    ig_clock_iso(until, ig_clock_unix_ms() + (int64_t)atomic_load(&lifetime_s) * 1000);
    snprintf(reply, size,
             xml ? "<R><Result><Credentials><AccessKeyId>%s</AccessKeyId><SecretAccessKey>%s"
                   "</SecretAccessKey><SessionToken>t%d</SessionToken><Expiration>%s</Expiration>"
                   "</Credentials></Result></R>"
                 : "{\"Code\":\"Success\",\"AccessKeyId\":\"%s\",\"SecretAccessKey\":\"%s\","
                   "\"Token\":\"t%d\",\"Expiration\":\"%s\"}",
             S3_SERVER_ACCESS_KEY, S3_SERVER_SECRET_KEY, number, until);
}

static int answer(char *reply, size_t size, const char *request)
{
    reply[0] = '\0';
    if (atomic_load(&away)) return 503;
    if (strncmp(request, "PUT /latest/api/token ", 22) == 0) {
        if (!strstr(request, "x-aws-ec2-metadata-token-ttl-seconds: 21600")) return 400;
        snprintf(reply, size, "imds-token");
        return 200;
    }
    if (strncmp(request, "GET /latest/", 12) == 0) {
        if (!strstr(request, "x-aws-ec2-metadata-token: imds-token\r\n")) return 401;
        if (strstr(request, "/security-credentials/ HTTP"))
            snprintf(reply, size, "my-role");
        else if (strstr(request, "/security-credentials/my-role HTTP"))
            give(reply, size, false);
        return *reply ? 200 : 404;
    }
    if (strncmp(request, "GET /container ", 15) == 0) {
        if (!strstr(request, "authorization: Bearer of-a-file\r\n")) return 401;
        give(reply, size, false);
        return 200;
    }
    if (strncmp(request, "POST / ", 7) == 0 &&
        strstr(request, "Action=AssumeRoleWithWebIdentity&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr"
                        "&RoleSessionName=ingot&Version=2011-06-15&WebIdentityToken=ey.J%2B")) {
        give(reply, size, true);
        return 200;
    }
    return 404;
}

/* Until the head, and of a POST the body, is there. */
static void serve(int fd)
{
    char request[8192], reply[2048], head[256];
    size_t used = 0, wanted = 0;
    while (used < sizeof request - 1) {
        ssize_t got = recv(fd, request + used, sizeof request - 1 - used, 0);
        if (got <= 0) return;
        used += (size_t)got;
        request[used] = '\0';
        const char *end = strstr(request, "\r\n\r\n");
        const char *length = strstr(request, "Content-Length: ");
        if (!end) continue;
        wanted = (size_t)(end + 4 - request) + (length ? strtoul(length + 16, NULL, 10) : 0);
        if (used >= wanted) break;
    }
    int status = answer(reply, sizeof reply, request);
    int size = snprintf(head, sizeof head,
                        "HTTP/1.1 %d x\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", status,
                        strlen(reply));
    send(fd, head, (size_t)size, MSG_NOSIGNAL);
    send(fd, reply, strlen(reply), MSG_NOSIGNAL);
}

static void *run(void *context)
{
    (void)context;
    for (int fd; (fd = accept(listening, NULL, NULL)) >= 0; close(fd)) serve(fd);
    return NULL;
}

/* ---- set-up ---- */

static int start(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    pthread_t thread;
    (void)state;
    s3_server_start(&s3_server);
    listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listening, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(listening, 16), 0);
    assert_int_equal(getsockname(listening, (struct sockaddr *)&address, &length), 0);
    snprintf(place, sizeof place, "http://127.0.0.1:%u", ntohs(address.sin_port));
    assert_int_equal(pthread_create(&thread, NULL, run, NULL), 0);
    pthread_detach(thread);
    temp = ig_temp_make();
    ASSERT_OK(ig_s3_http_open(&http, &err));
    return 0;
}

static int stop(void **state)
{
    (void)state;
    ig_s3_http_close(http);
    s3_server_stop(&s3_server);
    ig_temp_remove(&temp);
    return 0;
}

static const char *write_token(const char *text)
{
    static char path[128];
    ASSERT_OK(ig_file_replace(temp.fd, "token", ig_str_view(text), &err));
    snprintf(path, sizeof path, "%s/token", temp.path);
    return path;
}

static int setup(void **state)
{
    static const char *const names[] = {
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_ROLE_ARN",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        "AWS_EC2_METADATA_DISABLED",
    };
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) unsetenv(names[i]);
    setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere", 1);
    setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", place, 1);
    setenv("AWS_ENDPOINT_URL_STS", place, 1);
    atomic_store(&away, false);
    atomic_store(&given, 0);
    atomic_store(&lifetime_s, 3600);
    err = IG_ERR_INIT;
    return 0;
}

static void expect_keys(void)
{
    ASSERT_OK(ig_s3_keys_find(&keys, http, "eu-central-1", &err));
    assert_string_equal(keys.access_key, S3_SERVER_ACCESS_KEY);
    assert_string_equal(keys.secret_key, S3_SERVER_SECRET_KEY);
    assert_string_equal(keys.token, "t1");
    assert_true(keys.renewable);
    int64_t left_ms = keys.expires_ms - ig_clock_unix_ms();
    assert_true(left_ms > 3590000 && left_ms <= 3600000);
}

static void test_instance(void **state)
{
    (void)state;
    expect_keys();
    atomic_store(&away, true);
    ASSERT_FAILS(ig_s3_keys_find(&keys, http, "r", &err), IG_UNAUTHENTICATED,
                 "nor has the instance a role: it answered with status 503");
    setenv("AWS_EC2_METADATA_DISABLED", "TRUE", 1);
    ASSERT_FAILS(ig_s3_keys_find(&keys, http, "r", &err), IG_UNAUTHENTICATED, "are not set, and");
}

static void test_container(void **state)
{
    char url[128];
    (void)state;
    snprintf(url, sizeof url, "%s/container", place);
    setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url, 1);
    setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "of the environment", 1);
    ASSERT_FAILS(ig_s3_keys_find(&keys, http, "r", &err), IG_UNAVAILABLE,
                 "of the container: it answered with status 401");
    setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", write_token("Bearer of-a-file\n"), 1);
    expect_keys();
    static const char *const elsewhere[] = {"http://example.com/x", "http://127.0.0.1.evil.com/x",
                                            "http://localhost@evil.com/", "ftp://127.0.0.1/"};
    for (size_t i = 0; i < sizeof elsewhere / sizeof elsewhere[0]; i++) {
        setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", elsewhere[i], 1);
        ASSERT_FAILS(ig_s3_keys_find(&keys, http, "r", &err), IG_INVALID, "neither https nor");
    }
    write_token("two\nlines");
    setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url, 1);
    ASSERT_FAILS(ig_s3_keys_find(&keys, http, "r", &err), IG_INVALID, "no token in one line");
}

static void test_web_identity(void **state)
{
    (void)state;
    setenv("AWS_WEB_IDENTITY_TOKEN_FILE", write_token("ey.J+"), 1);
    ASSERT_FAILS(ig_s3_keys_find(&keys, http, "r", &err), IG_UNAUTHENTICATED, "AWS_ROLE_ARN");
    setenv("AWS_ROLE_ARN", "arn:aws:iam::1:role/r", 1);
    expect_keys();
    write_token("another");
    ASSERT_FAILS(ig_s3_keys_find(&keys, http, "r", &err), IG_UNAVAILABLE,
                 "of the token service: it answered with status 404");
    assert_null(strstr(err.message, "another"));
}

static void test_answers(void **state)
{
    (void)state;
    ASSERT_FAILS(ig_s3_keys_read_json(&keys, IG_STR("{\"Code\":\"Failed\"}"), &err), IG_UNAVAILABLE,
                 "holds no keys");
    ASSERT_FAILS(ig_s3_keys_read_json(&keys, IG_STR("{\"Token\":"), &err), IG_PARSE, "");
    ASSERT_FAILS(ig_s3_keys_read_xml(&keys, IG_STR("<a><AccessKeyId>x</AccessKeyId></a>"), &err),
                 IG_UNAVAILABLE, "holds no keys");
}

/* The client's calls go on over the end of keys; a service that is away is asked again later. */
static void test_renewal(void **state)
{
    struct ig_s3_place where;
    struct ig_s3 *s3 = NULL;
    char url[256];
    (void)state;
    atomic_store(&lifetime_s, 60); /* within the time in which they are renewed */
    s3_server_url(url, &s3_server, "renewal");
    ASSERT_OK(ig_s3_place_parse(&where, url, &err));
    ASSERT_OK(ig_s3_open(&s3, &where, &err));
    assert_int_equal(atomic_load(&given), 1);
    ASSERT_OK(ig_s3_remove(s3, "x", &err));
    ASSERT_OK(ig_s3_remove(s3, "x", &err));
    assert_int_equal(atomic_load(&given), 3);
    atomic_store(&away, true);
    ASSERT_OK(ig_s3_remove(s3, "x", &err)); /* those that there are still hold */
    atomic_store(&away, false);
    atomic_store(&lifetime_s, 3600);
    ASSERT_OK(ig_s3_remove(s3, "x", &err)); /* not yet: it was away a moment ago */
    assert_int_equal(atomic_load(&given), 3);
    s3_server_refuse(&s3_server, 1, 400, "ExpiredToken");
    ASSERT_OK(ig_s3_remove(s3, "x", &err)); /* S3 says so first */
    assert_int_equal(atomic_load(&given), 4);
    ASSERT_OK(ig_s3_remove(s3, "x", &err));
    assert_int_equal(atomic_load(&given), 4);
    ig_s3_close(s3);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup(test, setup)
    const struct CMUnitTest tests[] = {CASE(test_instance), CASE(test_container),
                                       CASE(test_web_identity), CASE(test_answers),
                                       CASE(test_renewal)};
    return cmocka_run_group_tests(tests, start, stop);
}
