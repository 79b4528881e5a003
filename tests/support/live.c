/* SPDX-License-Identifier: Apache-2.0 */
/* Starts, calls and kills the real program. */
#include "support/live.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/json.h"
#include "stores/db_testing.h"

#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ARGUMENTS_MAX = 32, START_MS = 20000, JOB_MS = 90000 };

const char *live_program(void)
{
    static char path[512];
    const char *build = getenv("INGOT_BUILD_DIR");
    snprintf(path, sizeof path, "%s/ingot", build ? build : "build/dev");
    return path;
}

/* For the server and the offline verbs. */
static void choose_database(const struct live *live)
{
    const char *database = ig_db_testing_database(live->dir);
    if (database) setenv("INGOT_DATABASE", database, 1);
}

void live_make(struct live *live)
{
    *live = (struct live){.dir = "/tmp/ingot-test-XXXXXX"};
    assert_non_null(mkdtemp(live->dir));
    choose_database(live);
    ig_buf_init(&live->reply.body, 64 << 20);
}

void live_remove(struct live *live)
{
    char command[] = "rm";
    char *arguments[] = {command, (char[]){"-rf"}, live->dir, NULL};
    if (live->pid) live_stop(live, SIGKILL);
    ig_buf_deinit(&live->reply.body);
    pid_t pid = fork();
    if (pid == 0) {
        execvp(command, arguments);
        _exit(127);
    }
    waitpid(pid, NULL, 0);
}

/* In the child: dies with the test, talks into the pipes. */
static _Noreturn void become(const char *const *arguments, int out, int err)
{
    char *copy[ARGUMENTS_MAX] = {NULL};
    for (int i = 0; i < ARGUMENTS_MAX - 1 && arguments[i]; i++) copy[i] = (char *)arguments[i];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(out, STDOUT_FILENO);
    if (err >= 0) dup2(err, STDERR_FILENO);
    execv(arguments[0], copy);
    _exit(127);
}

static void read_line(int fd, char *line, size_t size)
{
    size_t length = 0;
    uint64_t limit = ig_clock_ns() + (uint64_t)START_MS * 1000000;
    while (length + 1 < size) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        int64_t left = (int64_t)(limit - ig_clock_ns()) / 1000000;
        if (left <= 0 || poll(&ready, 1, (int)left) <= 0) break;
        if (read(fd, line + length, 1) != 1 || line[length] == '\n') break;
        length++;
    }
    line[length] = '\0';
}

uint64_t live_start(struct live *live, const char *const *more)
{
    int out[2];
    char data[128], line[256] = "";
    choose_database(live);
    snprintf(data, sizeof data, "%s/data", live->dir);
    const char *arguments[ARGUMENTS_MAX] = {live_program(), "server",   "--data",
                                            data,           "--listen", "127.0.0.1:0"};
    for (int i = 0; more && more[i]; i++) arguments[6 + i] = more[i];
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    uint64_t start = ig_clock_ns();
    live->pid = fork();
    assert_true(live->pid >= 0);
    if (live->pid == 0) become(arguments, out[1], -1);
    close(out[1]);
    read_line(out[0], line, sizeof line);
    uint64_t spent = ig_clock_ns() - start;
    close(out[0]);
    if (sscanf(line, "listening on %63s", live->url) != 1) fail_msg("the server said '%s'", line);
    struct ig_err err = IG_ERR_INIT;
    struct ig_client_options options = {.ca_file = live->ca,
                                        .headers = live->headers[0] ? live->headers : NULL};
    if (ig_client_new(&live->client, live->url, &options, &err) != IG_OK)
        fail_msg("%s", err.message);
    return spent / 1000;
}

int live_stop(struct live *live, int signal_number)
{
    int status = 0;
    if (live->client) ig_client_free(live->client);
    live->client = NULL;
    kill(live->pid, signal_number);
    assert_int_equal(waitpid(live->pid, &status, 0), live->pid);
    live->pid = 0;
    return status;
}

static int call_once(struct live *live, const struct ig_client_call *call, struct ig_err *err)
{
    *err = IG_ERR_INIT;
    ig_buf_reset(&live->reply.body);
    if (ig_client_call(live->client, call, &live->reply, err) != IG_OK) return 0;
    return live->reply.status;
}

int live_send(struct live *live, const struct ig_client_call *call)
{
    struct ig_err err;
    int status = call_once(live, call, &err);
    if (!status) fail_msg("%s %s: %s", call->method, call->path, err.message);
    return status;
}

static struct ig_client_call make_call(const char *method, const char *path, const char *body)
{
    return (struct ig_client_call){.method = method,
                                   .path = path,
                                   .content_type = body ? "application/json" : NULL,
                                   .body = ig_str_view(body)};
}

int live_call(struct live *live, const char *method, const char *path, const char *body)
{
    struct ig_client_call call = make_call(method, path, body);
    return live_send(live, &call);
}

int live_try(struct live *live, const char *method, const char *path, const char *body)
{
    struct ig_client_call call = make_call(method, path, body);
    struct ig_err err;
    return call_once(live, &call, &err);
}

const char *live_body(const struct live *live)
{
    return live->reply.body.len ? live->reply.body.ptr : "";
}

uint64_t live_peak_bytes(const struct live *live)
{
    char path[64], line[256];
    unsigned long long kilobytes = 0;
    snprintf(path, sizeof path, "/proc/%d/status", live->pid);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "VmHWM: %llu kB", &kilobytes) == 1) break;
    fclose(file);
    assert_true(kilobytes > 0);
    return kilobytes * 1024;
}

static bool find_member(struct ig_json *json, struct ig_str name)
{
    while (ig_json_member(json)) {
        if (ig_str_eq(json->text, name)) return true;
        ig_json_skip(json);
    }
    return false;
}

static bool find_element(struct ig_json *json, struct ig_str index)
{
    uint64_t left;
    if (!ig_str_to_u64(index, &left)) return false;
    for (; ig_json_element(json); left--) {
        if (!left) return true;
        ig_json_skip(json);
    }
    return false;
}

static bool find(struct ig_json *json, const char *path)
{
    struct ig_str rest = ig_str_view(path);
    while (rest.len) {
        struct ig_str name = ig_str_cut(&rest, '.');
        enum ig_json_event event = ig_json_next(json);
        if (event == IG_JSON_OBJECT ? !find_member(json, name)
                                    : event != IG_JSON_ARRAY || !find_element(json, name))
            return false;
    }
    return true;
}

const char *live_text(const struct live *live, const char *path)
{
    static char text[4][4096];
    static int next;
    char *out = text[next++ % 4];
    struct ig_arena arena;
    struct ig_err err = IG_ERR_INIT;
    struct ig_json json;
    out[0] = '\0';
    ig_arena_init(&arena, 4096, 16 << 20);
    ig_json_init(&json, ig_buf_view(&live->reply.body), &arena, &err);
    if (find(&json, path)) {
        enum ig_json_event event = ig_json_next(&json);
        if (event == IG_JSON_STRING || event == IG_JSON_NUMBER)
            snprintf(out, sizeof text[0], "%.*s", IG_STR_ARGS(json.text));
        if (event == IG_JSON_BOOL) snprintf(out, sizeof text[0], json.boolean ? "true" : "false");
    }
    ig_arena_deinit(&arena);
    return out;
}

double live_number(const struct live *live, const char *path)
{
    const char *text = live_text(live, path);
    return *text ? strtod(text, NULL) : (double)NAN;
}

const char *live_upload(struct live *live, const char *bytes, size_t size)
{
    struct ig_client_call call = {.method = "POST",
                                  .path = "/api/v1/blobs",
                                  .content_type = "application/octet-stream",
                                  .body = {bytes, size}};
    assert_int_equal(live_send(live, &call), 201);
    return live_text(live, "digest");
}

const char *live_path(const struct live *live, const char *name)
{
    static char path[4][256];
    static int next;
    char *out = path[next++ % 4];
    snprintf(out, sizeof path[0], "%s/%s", live->dir, name);
    return out;
}

void live_write(const struct live *live, const char *name, const char *text)
{
    FILE *file = fopen(live_path(live, name), "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static double noise(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (double)(*state >> 8) / (1 << 24);
}

void live_write_table(const struct live *live, const char *name, int rows)
{
    static const char *const colours[] = {"red", "green", "blue"};
    uint32_t state = 7;
    FILE *file = fopen(live_path(live, name), "w");
    assert_non_null(file);
    fputs("x0,x1,colour,label\n", file);
    for (int i = 0; i < rows; i++) {
        double a = noise(&state), b = noise(&state);
        int colour = (int)(noise(&state) * 3);
        bool label = a + (colour == 1) * 0.4 > 0.6 + 0.2 * b;
        if (i % 17 == 3)
            fprintf(file, "%.4f,,%s,%s\n", a, colours[colour], label ? "yes" : "no");
        else
            fprintf(file, "%.4f,%.4f,%s,%s\n", a, b, colours[colour], label ? "yes" : "no");
    }
    assert_int_equal(fclose(file), 0);
}

const char *live_submit(struct live *live, const char *model, const char *table, int rounds)
{
    static char id[64];
    char body[512], bytes[1 << 16];
    FILE *file = fopen(live_path(live, table), "r");
    assert_non_null(file);
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    assert_true(size < sizeof bytes);
    const char *digest = live_upload(live, bytes, size);
    snprintf(body, sizeof body,
             "{\"model\":\"%s\",\"target\":\"label\",\"data_digest\":\"%s\",\"params\":"
             "{\"rounds\":%d,\"max_depth\":3,\"early_stopping\":0,\"threads\":1}}",
             model, digest, rounds);
    if (live_call(live, "POST", "/api/v1/jobs", body) != 201) fail_msg("%s", live_body(live));
    snprintf(id, sizeof id, "%s", live_text(live, "id"));
    return id;
}

const char *live_wait_job(struct live *live, const char *id)
{
    char path[128];
    snprintf(path, sizeof path, "/api/v1/jobs/%s", id);
    for (int waited = 0; waited < JOB_MS; waited += 20) {
        assert_int_equal(live_call(live, "GET", path, NULL), 200);
        const char *state = live_text(live, "state");
        if (strcmp(state, "queued") != 0 && strcmp(state, "running") != 0) return state;
        nanosleep(&(struct timespec){0, 20000000}, NULL);
    }
    fail_msg("job %s does not end", id);
    return "";
}

static size_t drain(int fd, char *text, size_t size, size_t length)
{
    char spill[4096];
    bool full = length + 1 >= size;
    ssize_t got = read(fd, full ? spill : text + length, full ? sizeof spill : size - 1 - length);
    if (got <= 0) return SIZE_MAX;
    return full ? length : length + (size_t)got;
}

void live_run(struct live_run *run, const struct live *live, const char *const *arguments)
{
    int out[2], err[2], status;
    const char *all[ARGUMENTS_MAX] = {live_program()};
    size_t lengths[2] = {0, 0};
    for (int i = 0; arguments[i]; i++) all[1 + i] = arguments[i];
    assert_int_equal(pipe2(out, O_CLOEXEC) + pipe2(err, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (live && live->url[0]) setenv("INGOT_SERVER", live->url, 1);
        if (live && live->ca) setenv("INGOT_CA", live->ca, 1);
        setenv("LC_ALL", "C", 1);
        int in = open(run->input ? run->input : "/dev/null", O_RDONLY);
        dup2(in, STDIN_FILENO);
        become(all, out[1], err[1]);
    }
    close(out[1]);
    close(err[1]);
    struct pollfd ready[2] = {{out[0], POLLIN, 0}, {err[0], POLLIN, 0}};
    while (ready[0].fd >= 0 || ready[1].fd >= 0) {
        poll(ready, 2, -1);
        for (int i = 0; i < 2; i++) {
            if (ready[i].fd < 0 || !ready[i].revents) continue;
            size_t length = drain(ready[i].fd, i ? run->err : run->out,
                                  i ? sizeof run->err : sizeof run->out, lengths[i]);
            if (length == SIZE_MAX)
                ready[i].fd = -1;
            else
                lengths[i] = length;
        }
    }
    run->out[lengths[0]] = run->err[lengths[1]] = '\0';
    close(out[0]);
    close(err[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    run->code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
