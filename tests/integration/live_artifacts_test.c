/* SPDX-License-Identifier: Apache-2.0 */
/* MLflow's artifact proxy of the real program: files and directories, uploads in parts, attacks
 * through paths, large files in constant memory (64 MB, or 1 GB with INGOT_LONG=1), kill -9 in the
 * middle of an upload.
 */
#include "base/hash.h"
#include "support/live.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ARTIFACTS "/api/2.0/mlflow-artifacts/artifacts"
#define RUN "0/0123456789abcdef0123456789abcdef/artifacts"

enum { PIECE = 1 << 20, GROWTH_MAX = 24 << 20 };

static struct live live;
static uint64_t pieces = 64;

static int setup(void **state)
{
    (void)state;
    const char *long_run = getenv("INGOT_LONG");
    if (long_run && strcmp(long_run, "1") == 0) pieces = 1024;
    live_make(&live);
    live_start(&live, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    live_remove(&live);
    return 0;
}

static void test_round_trip(void **state)
{
    (void)state;
    EXPECT(200, "PUT", ARTIFACTS "/" RUN "/note.txt", "hello");
    assert_string_equal(live_body(&live), "{}");
    EXPECT(200, "PUT", ARTIFACTS "/" RUN "/model/data%20set/%C3%BC.bin", "abc");
    EXPECT(200, "PUT", ARTIFACTS "/" RUN "/empty", "");
    EXPECT(200, "GET", ARTIFACTS "/" RUN "/note.txt", NULL);
    assert_string_equal(live_body(&live), "hello");
    assert_string_equal(live.reply.content_type, "text/plain");
    EXPECT(200, "PUT", ARTIFACTS "/" RUN "/note.txt", "other");
    EXPECT(200, "GET", "/ajax-api/2.0/mlflow-artifacts/artifacts/" RUN "/note.txt", NULL);
    assert_string_equal(live_body(&live), "other");
    EXPECT(200, "GET", ARTIFACTS "?path=" RUN, NULL);
    assert_string_equal(live_body(&live),
                        "{\"files\":[{\"path\":\"empty\",\"is_dir\":false,\"file_size\":0},"
                        "{\"path\":\"model\",\"is_dir\":true},"
                        "{\"path\":\"note.txt\",\"is_dir\":false,\"file_size\":5}]}");
    EXPECT(200, "GET", ARTIFACTS "?path=" RUN "/model/data+set", NULL);
    assert_string_equal(live_text(&live, "files.0.path"), "\xC3\xBC.bin");
    EXPECT(409, "PUT", ARTIFACTS "/" RUN "/model", "x");
    assert_string_equal(live_text(&live, "error_code"), "INVALID_STATE");
    EXPECT(409, "PUT", ARTIFACTS "/" RUN "/note.txt/x", "x");
    EXPECT(404, "GET", ARTIFACTS "/" RUN "/model", NULL);
    assert_string_equal(live_text(&live, "error_code"), "RESOURCE_DOES_NOT_EXIST");
    EXPECT(404, "GET", "/get-artifact?run_uuid=none&path=x", NULL);
    assert_string_equal(live_text(&live, "error_code"), "RESOURCE_DOES_NOT_EXIST");
    EXPECT(404, "GET", "/api/2.0/mlflow/artifacts/list?run_id=none", NULL);
    assert_string_equal(live_text(&live, "message"), "Run with id=none not found");
    EXPECT(200, "DELETE", ARTIFACTS "/" RUN "/model", NULL);
    EXPECT(404, "GET", ARTIFACTS "/" RUN "/model/data%20set/%C3%BC.bin", NULL);
    EXPECT(200, "GET", ARTIFACTS "/" RUN "/note.txt", NULL);
}

#define MPU "/api/2.0/mlflow-artifacts/mpu"

/* Parts out of order, one of them twice; then the whole of them. */
static void test_parts(void **state)
{
    (void)state;
    static const char *const parts[] = {"first ", "second ", "third"};
    char id[64], path[256], body[1024], base[256];
    size_t length = 0;
    EXPECT(200, "POST", MPU "/create/" RUN "/in",
           "{\"path\":\"/home/someone/parts.txt\",\"num_parts\":3}");
    snprintf(id, sizeof id, "%s", live_text(&live, "upload_id"));
    snprintf(base, sizeof base, "%s" MPU "/parts/%s/2", live.url, id);
    assert_string_equal(live_text(&live, "credentials.1.url"), base);
    assert_int_equal(live_number(&live, "credentials.2.part_number"), 3);
    length += (size_t)snprintf(body, sizeof body,
                               "{\"path\":\"parts.txt\",\"upload_id\":\"%s\",\"parts\":[", id);
    for (int i = 3; i > 0; i--) {
        snprintf(path, sizeof path, MPU "/parts/%s/%d", id, i);
        EXPECT(200, "PUT", path, i == 2 ? "wrong" : parts[i - 1]);
    }
    snprintf(path, sizeof path, MPU "/parts/%s/2", id);
    EXPECT(200, "PUT", path, parts[1]);
    for (int i = 0; i < 3; i++) {
        char digest[IG_SHA256_HEX];
        ig_sha256_hex(parts[i], strlen(parts[i]), digest);
        length += (size_t)snprintf(body + length, sizeof body - length,
                                   "%s{\"part_number\":%d,\"etag\":\"\\\"%s\\\"\"}", i ? "," : "",
                                   i + 1, digest);
    }
    EXPECT(400, "POST", MPU "/complete/" RUN "/in",
           "{\"path\":\"parts.txt\",\"upload_id\":\"x\",\"parts\":[]}");
    snprintf(body + length, sizeof body - length, "]}");
    EXPECT(404, "POST", MPU "/complete/" RUN "/elsewhere", body);
    EXPECT(404, "GET", ARTIFACTS "/" RUN "/in/parts.txt", NULL);
    EXPECT(200, "POST", MPU "/complete/" RUN "/in", body);
    EXPECT(200, "GET", ARTIFACTS "/" RUN "/in/parts.txt", NULL);
    assert_string_equal(live_body(&live), "first second third");
    EXPECT(404, "POST", MPU "/complete/" RUN "/in", body);
    EXPECT(404, "PUT", path, "late");
    EXPECT(400, "PUT", MPU "/parts/x/y", "");
    EXPECT(200, "POST", MPU "/create/" RUN, "{\"path\":\"a\",\"num_parts\":1}");
    snprintf(body, sizeof body, "{\"path\":\"a\",\"upload_id\":\"%s\"}",
             live_text(&live, "upload_id"));
    EXPECT(200, "POST", MPU "/abort/" RUN, body);
    EXPECT(404, "POST", MPU "/abort/" RUN, body);
    EXPECT(501, "GET", "/api/2.0/mlflow-artifacts/presigned/" RUN "/in/parts.txt", NULL);
    assert_string_equal(live_text(&live, "error_code"), "NOT_IMPLEMENTED");
    EXPECT(404, "GET", "/api/2.0/mlflow-artifacts/presigned/" RUN "/none", NULL);
    EXPECT(200, "DELETE", ARTIFACTS "/" RUN "/in", NULL);
}

/* What the router lets through, the check of paths refuses; nothing is found on the disk. */
static void test_attacks(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "/../../../etc/passwd",
        "/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2f..%2fetc%2fpasswd",
        "/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/%252e%252e/%252e%252e/etc/passwd",
        "/..%252f..%252fetc%252fpasswd",
        "/..%5c..%5cetc%5cpasswd",
        "/..%255c..%255cetc",
        "/%2fetc/passwd",
        "//etc/passwd",
        "/C:/windows/win.ini",
        "/C:%5cwindows",
        "/%c0%ae%c0%ae/etc/passwd",
        "/%e0%80%ae%e0%80%ae/etc/passwd",
        "/..;/..;/etc%00.txt",
        "/a%00b",
        "/a%0d%0ab",
        "/a%7f",
        "/a%23b",
        "/a/./b",
        "/a//b",
        "/a/",
        "/a/..",
        "/file:%2f%2f%2fetc%2fpasswd",
        "/%u002e%u002e/etc",
        "/a%",
        "/a%g0",
    };
    char path[256];
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        static const char *const methods[] = {"PUT", "GET", "DELETE"};
        snprintf(path, sizeof path, ARTIFACTS "%s", paths[i]);
        for (size_t k = 0; k < 3; k++) {
            int status = live_call(&live, methods[k], path, k ? NULL : "x");
            if (status != 400 && status != 404)
                fail_msg("%s %s: %d %s", methods[k], path, status, live_body(&live));
            if (strstr(live_body(&live), "root:")) fail_msg("%s %s leaks", methods[k], path);
        }
        if (paths[i][1] == '/') continue; /* as a query it would be absolute: another case */
        snprintf(path, sizeof path, ARTIFACTS "?path=%s", paths[i]);
        EXPECT(400, "GET", path, NULL);
        snprintf(path, sizeof path, ARTIFACTS "?path=x%s", paths[i]);
        int status = live_call(&live, "GET", path, NULL);
        if (status == 200) assert_string_equal(live_body(&live), "{\"files\":[]}");
    }
    EXPECT(200, "GET", ARTIFACTS "?path=", NULL);
    assert_string_equal(live_body(&live), "{\"files\":[{\"path\":\"0\",\"is_dir\":true}]}");
}

/* A connection of its own, with these bytes sent. */
static int send_raw(const char *text, size_t length)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_port = htons((uint16_t)strtoul(strrchr(live.url, ':') + 1, NULL, 10));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(write(fd, text, length), (ssize_t)length);
    return fd;
}

/* The file's name in a target's form, the headers of its answer. */
static void expect_headers(const char *name, const char *type, const char *disposition)
{
    char answer[4096], text[256];
    size_t length = 0;
    ssize_t part;
    snprintf(text, sizeof text, ARTIFACTS "/" RUN "/%s", name);
    EXPECT(200, "PUT", text, "<script>alert(1)</script>");
    int used = snprintf(text, sizeof text,
                        "GET " ARTIFACTS "/" RUN "/%s HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                        "Connection: close\r\n\r\n",
                        name);
    int fd = send_raw(text, (size_t)used);
    while ((part = read(fd, answer + length, sizeof answer - 1 - length)) > 0)
        length += (size_t)part;
    close(fd);
    answer[length] = '\0';
    char said[2][128];
    snprintf(said[0], sizeof said[0], "Content-Type: %s\r\n", type);
    snprintf(said[1], sizeof said[1], "Content-Disposition: attachment; %s\r\n", disposition);
    const char *const wanted[] = {
        "HTTP/1.1 200 ",
        said[0],
        said[1],
        "X-Content-Type-Options: nosniff\r\n",
        "Content-Security-Policy: default-src 'none'\r\n",
        "\r\n\r\n<script>alert(1)</script>",
    };
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        if (!strstr(answer, wanted[i])) fail_msg("no '%s' in: %s", wanted[i], answer);
}

/* No browser shows an upload as a page. */
static void test_headers(void **state)
{
    (void)state;
    static const char binary[] = "application/octet-stream";
    expect_headers("%22x%3B%C3%BC.html", binary, "filename*=UTF-8''%22x%3B%C3%BC.html");
    expect_headers("x.svg", binary, "filename=x.svg");
    expect_headers("x.htm", binary, "filename=x.htm");
    expect_headers("b.pkl", binary, "filename=b.pkl");
    expect_headers("none", binary, "filename=none");
    expect_headers("dot.", binary, "filename=dot.");
    expect_headers("a.%20txt", binary, "filename*=UTF-8''a.%20txt");
    expect_headers("page.xml", "text/plain", "filename=page.xml");
    expect_headers(".json", binary, "filename=.json");
    expect_headers("MLmodel", "text/plain", "filename=MLmodel");
    expect_headers("dog+1.png", "image/png", "filename=dog+1.png");
    expect_headers("a.b.pdf", "application/pdf", "filename=a.b.pdf");
}

/* As MLflow's console uploads. */
static void test_upload_by_run(void **state)
{
    (void)state;
    static const char upload[] = "/ajax-api/2.0/mlflow/upload-artifact";
    char path[256], get[256], run[64];
    EXPECT(200, "POST", "/api/2.0/mlflow/runs/create", "{\"experiment_id\":\"0\"}");
    snprintf(run, sizeof run, "%s", live_text(&live, "run.info.run_id"));
    EXPECT(400, "POST", upload, "x");
    assert_string_equal(live_text(&live, "message"), "Request must specify run_uuid.");
    snprintf(path, sizeof path, "%s?run_uuid=%s", upload, run);
    EXPECT(400, "POST", path, "x");
    assert_string_equal(live_text(&live, "message"), "Request must specify path.");
    snprintf(path, sizeof path, "%s?run_uuid=%s&path=../x", upload, run);
    EXPECT(400, "POST", path, "x");
    assert_string_equal(live_text(&live, "message"), "Invalid path");
    snprintf(path, sizeof path, "%s?run_uuid=%s&path=d/x.txt", upload, run);
    EXPECT(400, "POST", path, "");
    assert_string_equal(live_text(&live, "message"), "Request must specify data.");
    EXPECT(200, "POST", path, "hello");
    snprintf(get, sizeof get, "//get-artifact?run_uuid=%s&path=d/x.txt", run);
    EXPECT(200, "GET", get, NULL);
    assert_string_equal(live_body(&live), "hello");
    snprintf(get, sizeof get, "//get-artifact?run_uuid=%s&path=/etc/passwd", run);
    EXPECT(400, "GET", get, NULL);
    assert_string_equal(live_text(&live, "message"), "Invalid path");
}

static uint64_t word_at(uint64_t index)
{
    return (index + 1) * 0x9E3779B97F4A7C15u;
}

static int make_file(void)
{
    static uint64_t words[PIECE / 8];
    int fd = open(live_path(&live, "big"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    for (uint64_t i = 0; i < pieces; i++) {
        for (uint64_t k = 0; k < PIECE / 8; k++) words[k] = word_at(i * (PIECE / 8) + k);
        assert_int_equal(write(fd, words, PIECE), PIECE);
    }
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

struct comparing {
    uint64_t at;
    bool same;
};

static bool compare(void *context, struct ig_str bytes)
{
    struct comparing *comparing = context;
    for (size_t i = 0; i < bytes.len; i++, comparing->at++) {
        uint64_t word = word_at(comparing->at / 8);
        if ((unsigned char)bytes.ptr[i] != (unsigned char)(word >> (comparing->at % 8 * 8)))
            comparing->same = false;
    }
    return comparing->same;
}

static void test_large(void **state)
{
    (void)state;
    int fd = make_file();
    uint64_t before = live_peak_bytes(&live);
    struct ig_client_call up = {.method = "PUT",
                                .path = ARTIFACTS "/" RUN "/big.bin",
                                .has_body_fd = true,
                                .body_fd = fd,
                                .body_fd_bytes = pieces * PIECE};
    assert_int_equal(live_send(&live, &up), 200);
    struct comparing comparing = {0, true};
    struct ig_client_call down = {.method = "GET",
                                  .path = ARTIFACTS "/" RUN "/big.bin",
                                  .on_bytes = compare,
                                  .on_bytes_context = &comparing};
    assert_int_equal(live_send(&live, &down), 200);
    assert_true(comparing.same && comparing.at == pieces * PIECE);
    uint64_t growth = live_peak_bytes(&live) - before;
    print_message("%llu MB each way, the server grew by %.1f MB\n", (unsigned long long)pieces,
                  (double)growth / (1 << 20));
    assert_true(growth < GROWTH_MAX);
    close(fd);
}

static size_t files_in(const char *name)
{
    size_t count = 0;
    DIR *dir = opendir(live_path(&live, name));
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

/* What was there stays, of the upload nothing does. */
static void test_kill(void **state)
{
    (void)state;
    static char text[64 << 10];
    EXPECT(200, "PUT", ARTIFACTS "/" RUN "/kept", "whole");
    for (int i = 0; i < 2; i++) {
        int head = snprintf(text, sizeof text,
                            "PUT " ARTIFACTS "/" RUN "/%s HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                            "Content-Length: 1000000\r\n\r\n",
                            i ? "kept" : "half");
        memset(text + head, 'x', sizeof text - (size_t)head);
        int fd = send_raw(text, sizeof text);
        for (int tries = 0; files_in("data/blobs/incoming") == 0 && tries < 500; tries++)
            usleep(10000);
        assert_int_equal(files_in("data/blobs/incoming"), 1);
        live_stop(&live, SIGKILL);
        close(fd);
        live_start(&live, NULL);
        assert_int_equal(files_in("data/blobs/incoming"), 0);
        EXPECT(404, "GET", ARTIFACTS "/" RUN "/half", NULL);
        EXPECT(200, "GET", ARTIFACTS "/" RUN "/kept", NULL);
        assert_string_equal(live_body(&live), "whole");
    }
}

static void test_cap(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    int fd = open(live_path(&live, "big"), O_RDONLY | O_CLOEXEC);
    live_stop(&live, SIGTERM);
    live_start(&live, (const char *const[]){"--set", "blob_max_mb=1", NULL});
    struct ig_client_call call = {.method = "PUT",
                                  .path = ARTIFACTS "/" RUN "/toobig",
                                  .has_body_fd = true,
                                  .body_fd = fd,
                                  .body_fd_bytes = 8 * PIECE};
    ig_buf_reset(&live.reply.body);
    /* Refused before all is read: the client sees the answer or the end of the connection. */
    if (ig_client_call(live.client, &call, &live.reply, &err) == IG_OK)
        assert_int_equal(live.reply.status, 413);
    EXPECT(404, "GET", ARTIFACTS "/" RUN "/toobig", NULL);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),    cmocka_unit_test(test_parts),
        cmocka_unit_test(test_attacks),       cmocka_unit_test(test_headers),
        cmocka_unit_test(test_upload_by_run), cmocka_unit_test(test_large),
        cmocka_unit_test(test_kill),          cmocka_unit_test(test_cap),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
