/* SPDX-License-Identifier: Apache-2.0 */
/* `ingot edge agent`: rows from a file, standard input or a socket are answered by the model that
 * the device has, while another thread talks to the server when it can. */
#include "agent.h"
#include "cli.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    CLIENTS_MAX = 16,
    LINE_MAX_BYTES = 1 << 20,
    TURN_MS = 200,
    BACKOFF_MAX_S = 3600,
    IDENTITY_MAX = 16 << 10,
};

/* Where rows come from and answers go to. */
struct source {
    int in, out;
    struct ig_buf text; /* up to the next line's end */
};

struct run {
    struct agent agent;
    uint64_t interval_s;
    struct source sources[CLIENTS_MAX + 1]; /* the first: --input */
    size_t sources_count;
    int listener;
    const char *socket_path;
    bool failed; /* a row of --input had an error */
};

static bool _Atomic stopping;

static void stop(int signal_number)
{
    (void)signal_number;
    atomic_store(&stopping, true);
}

/* ---- rows ---- */

static bool send_all(int fd, struct ig_str bytes)
{
    while (bytes.len) {
        ssize_t done = write(fd, bytes.ptr, bytes.len);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return false;
        bytes = (struct ig_str){bytes.ptr + done, bytes.len - (size_t)done};
    }
    return true;
}

static bool answer(struct run *run, struct source *source, struct ig_str line)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_buf out;
    ig_buf_init(&out, LINE_MAX_BYTES);
    if (ig_agent_row(&out, &run->agent, line, &err) != IG_OK) {
        run->failed |= source == &run->sources[0];
        ig_buf_printf(&out, "error: %s\n", err.message);
    }
    bool sent = send_all(source->out, ig_buf_view(&out));
    ig_buf_deinit(&out);
    return sent;
}

/* Answers the whole lines that have come. */
static bool answer_lines(struct run *run, struct source *source)
{
    struct ig_str rest = ig_buf_view(&source->text);
    while (rest.len && memchr(rest.ptr, '\n', rest.len)) {
        struct ig_str line = ig_str_trim(ig_str_cut(&rest, '\n'));
        if (line.len && !answer(run, source, line)) return false;
    }
    if (rest.len) memmove(source->text.ptr, rest.ptr, rest.len);
    source->text.len = rest.len;
    return true;
}

/* False: it has ended. */
static bool serve(struct run *run, struct source *source)
{
    char piece[16 << 10];
    ssize_t got = read(source->in, piece, sizeof piece);
    if (got < 0) return errno == EINTR || errno == EAGAIN;
    if (got == 0) {
        struct ig_str line = ig_str_trim(ig_buf_view(&source->text));
        if (line.len) answer(run, source, line);
        return false;
    }
    ig_buf_add(&source->text, piece, (size_t)got);
    return !source->text.overflowed && answer_lines(run, source);
}

static void close_source(struct run *run, size_t index)
{
    struct source *source = &run->sources[index];
    ig_buf_deinit(&source->text);
    if (source->in != STDIN_FILENO) close(source->in);
    source->in = -1;
    if (index) *source = run->sources[--run->sources_count];
}

static void accept_client(struct run *run)
{
    int fd = accept4(run->listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) return;
    if (run->sources_count > CLIENTS_MAX) {
        close(fd);
        return;
    }
    struct source *source = &run->sources[run->sources_count++];
    *source = (struct source){.in = fd, .out = fd};
    ig_buf_init(&source->text, LINE_MAX_BYTES);
}

/* Until --input has ended and there is no socket, or a signal comes. */
static void serve_all(struct run *run)
{
    while (!atomic_load(&stopping) && (run->sources[0].in >= 0 || run->listener >= 0)) {
        struct pollfd fds[CLIENTS_MAX + 2];
        size_t count = run->sources_count;
        for (size_t i = 0; i < count; i++)
            fds[i] = (struct pollfd){.fd = run->sources[i].in, .events = POLLIN};
        fds[count] = (struct pollfd){.fd = run->listener, .events = POLLIN};
        if (poll(fds, count + 1, TURN_MS) <= 0) continue;
        for (size_t i = count; i-- > 0;)
            if (fds[i].revents && !serve(run, &run->sources[i])) close_source(run, i);
        if (fds[count].revents) accept_client(run);
    }
}

static enum ig_code listen_at(struct run *run, const char *path, struct ig_err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return ig_fail(err, IG_INVALID, "--socket: '%s' is too long", path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    run->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    unlink(path); /* of an agent that was killed; this one holds the lock of --dir */
    if (run->listener < 0 ||
        bind(run->listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(run->listener, CLIENTS_MAX) != 0)
        return ig_fail(err, IG_IO, "--socket: cannot listen at '%s': %s", path, strerror(errno));
    run->socket_path = path;
    return IG_OK;
}

/* ---- the server ---- */

static void sync_once(struct run *run, bool *worked)
{
    struct ig_err err = IG_ERR_INIT;
    *worked = ig_agent_sync(&run->agent, &err) == IG_OK;
    if (!*worked && !atomic_load(&stopping)) fprintf(stderr, "offline: %s\n", err.message);
}

/* Waits about so long, half of it at random, so that a fleet does not call at once. */
static void wait_about(uint64_t seconds)
{
    struct ig_rng rng;
    uint64_t seed;
    ig_random_bytes(&seed, sizeof seed);
    ig_rng_seed(&rng, seed);
    uint64_t ms = seconds * 500 + ig_rng_below(&rng, seconds * 500 + 1);
    for (uint64_t end = ig_clock_ns() + ms * 1000000;
         ig_clock_ns() < end && !atomic_load(&stopping);)
        usleep(20 * 1000);
}

static void *keep_in_touch(void *context)
{
    struct run *run = context;
    uint64_t failures = 0;
    while (!atomic_load(&stopping)) {
        bool worked;
        sync_once(run, &worked);
        failures = worked ? 0 : failures + 1;
        uint64_t pause = run->interval_s << (failures < 8 ? failures : 8);
        wait_about(pause < BACKOFF_MAX_S ? pause : BACKOFF_MAX_S);
    }
    return NULL;
}

/* ---- life ---- */

static enum ig_code open_input(struct run *run, const char *path, struct ig_err *err)
{
    struct source *source = &run->sources[0];
    *source = (struct source){.in = -1, .out = STDOUT_FILENO};
    ig_buf_init(&source->text, LINE_MAX_BYTES);
    run->sources_count = 1;
    if (!path) return IG_OK;
    if (strcmp(path, "-") == 0) {
        source->in = STDIN_FILENO;
        return IG_OK;
    }
    return ig_file_open_read(&source->in, IG_FILE_CWD, path, err);
}

static enum ig_code open_run(struct run *run, const struct ig_cli *cli, struct ig_buf *identity,
                             struct ig_err *err)
{
    uint64_t slot_kb = ig_cli_count(cli, "slot-kb");
    struct agent_options options = {.dir = ig_cli_text(cli, "dir"),
                                    .server = ig_cli_text(cli, "server"),
                                    .ca = ig_cli_text(cli, "ca"),
                                    .trial_rows = ig_cli_count(cli, "trial-rows"),
                                    .flush_rows = ig_cli_count(cli, "flush-rows")};
    run->agent.dirfd = run->agent.flash.fd = run->listener = -1;
    run->interval_s = ig_cli_count(cli, "interval");
    if (slot_kb < 64 || slot_kb > 64 << 10 || slot_kb % 64)
        return ig_fail(err, IG_INVALID,
                       "--slot-kb is %llu, expected a multiple of 64, at most 65536",
                       (unsigned long long)slot_kb);
    if (!run->interval_s || run->interval_s > BACKOFF_MAX_S)
        return ig_fail(err, IG_INVALID, "--interval is %llu, expected 1 to %d",
                       (unsigned long long)run->interval_s, BACKOFF_MAX_S);
    if (!options.flush_rows) return ig_fail(err, IG_INVALID, "--flush-rows is 0");
    options.slot_bytes = (size_t)slot_kb << 10;
    if (ig_file_read(identity, IG_FILE_CWD, ig_cli_text(cli, "identity"), err) != IG_OK)
        return err->code;
    options.identity = ig_buf_view(identity);
    if (ig_agent_open(&run->agent, &options, &stopping, err) != IG_OK) return err->code;
    const char *path = ig_cli_text(cli, "socket");
    if (path && listen_at(run, path, err) != IG_OK) return err->code;
    return open_input(run, ig_cli_text(cli, "input"), err);
}

/* One round: what is there is asked for first, and what came of the rows is told at the end. */
static void run_once(struct run *run)
{
    bool worked;
    sync_once(run, &worked);
    if (run->sources[0].in >= 0) serve_all(run);
    pthread_mutex_lock(&run->agent.lock);
    if (run->agent.ready) ig_agent_flush(&run->agent);
    pthread_mutex_unlock(&run->agent.lock);
    sync_once(run, &worked);
}

static void run_on(struct run *run, struct ig_err *err)
{
    uint64_t thread;
    if (ig_thread_start(&thread, "sync", keep_in_touch, run, err) != IG_OK) return;
    if (run->listener < 0 && run->sources[0].in < 0)
        while (!atomic_load(&stopping)) usleep(TURN_MS * 1000);
    else
        serve_all(run);
    atomic_store(&stopping, true);
    ig_thread_join(thread);
}

static void close_run(struct run *run)
{
    while (run->sources_count > 1) close_source(run, run->sources_count - 1);
    if (run->sources_count) close_source(run, 0);
    if (run->listener >= 0) close(run->listener);
    if (run->socket_path) unlink(run->socket_path);
    ig_agent_close(&run->agent);
}

int ig_cmd_edge_agent(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_buf identity;
    struct run *run = ig_zalloc(sizeof *run);
    bool once = ig_cli_flag(cli, "once"), opened = false;
    if (once && ig_cli_text(cli, "socket")) {
        ig_free(run);
        return ig_cli_usage(cli, "--once and --socket exclude each other");
    }
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, stop);
    signal(SIGINT, stop);
    ig_buf_init(&identity, IDENTITY_MAX);
    if (!run)
        ig_fail(&err, IG_NO_MEMORY, "no memory for an agent");
    else if (open_run(run, cli, &identity, &err) == IG_OK) {
        opened = true;
        if (once)
            run_once(run);
        else
            run_on(run, &err);
    }
    bool failed = run && run->failed;
    if (run) close_run(run);
    ig_free(run);
    ig_buf_deinit(&identity);
    if (!opened || err.code != IG_OK) return ig_cli_fail(cli, &err, NULL);
    return failed ? IG_EXIT_FAILURE : IG_EXIT_OK;
}
