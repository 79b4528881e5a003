/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_TESTS_LIVE_H
#define IG_TESTS_LIVE_H

/* A real server on a port of its own over a temporary directory, for integration tests. Every
 * function fails the running cmocka test when something is not as it should be. */

#include "net/client.h"

#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>

struct live {
    char dir[64];      /* holds data/ and whatever a test writes */
    pid_t pid;         /* 0: not running */
    char url[64];      /* "http://127.0.0.1:PORT", https with TLS */
    const char *ca;    /* file of what the clients trust, or NULL */
    char headers[256]; /* sent with each call, "" for none */
    struct ig_client *client;
    struct ig_client_reply reply; /* of the last call; the body ends with a NUL */
};

void live_make(struct live *live);   /* the directory */
void live_remove(struct live *live); /* kills, and removes the directory */
/* Starts the server and waits until it says where it listens. `more`: further arguments, NULL at
 * the end, or NULL. Returns the microseconds from start to that line. */
uint64_t live_start(struct live *live, const char *const *more);
/* Sends the signal and waits; returns the wait status. */
int live_stop(struct live *live, int signal_number);
/* The status of the answer. `body` may be NULL. */
int live_call(struct live *live, const char *method, const char *path, const char *body);
/* The same with a file's own `live`, failing the test at any other status. */
#define EXPECT(status, method, path, body)                                                         \
    do {                                                                                           \
        int got = live_call(&live, method, path, body);                                            \
        if (got != (status)) fail_msg("%s %s: %d %s", method, path, got, live_body(&live));        \
    } while (0)
int live_send(struct live *live, const struct ig_client_call *call);
/* A call that may fail because the server dies: 0 then. */
int live_try(struct live *live, const char *method, const char *path, const char *body);
const char *live_body(const struct live *live);
uint64_t
live_peak_bytes(const struct live *live); /* the server's greatest resident memory so far */
/* The text of a value of the last reply, by path ("error.code", "rows.0.x"); "" when absent. Static
 * memory. */
const char *live_text(const struct live *live, const char *path);
double live_number(const struct live *live, const char *path); /* NaN when absent */
/* Uploads bytes; the digest stays until the next call. */
const char *live_upload(struct live *live, const char *bytes, size_t size);

/* Writes DIR/name. */
void live_write(const struct live *live, const char *name, const char *text);
const char *live_path(const struct live *live,
                      const char *name); /* static memory, four at a time */
/* A table of `rows` rows: x0, x1, colour -> label (yes, no), learnable. */
void live_write_table(const struct live *live, const char *name, int rows);
/* Trains on that table with the given number of rounds: returns the job's id. */
const char *live_submit(struct live *live, const char *model, const char *table, int rounds);
/* Waits for a job's end; returns its state. */
const char *live_wait_job(struct live *live, const char *id);

struct live_run {
    const char *input; /* file to read as standard input, or NULL; stays for the next run */
    int code;          /* exit code, or -1 when it was killed */
    char out[1 << 16];
    char err[1 << 14];
};
/* Runs `ingot` with these arguments (NULL at the end); INGOT_SERVER is the live server. */
void live_run(struct live_run *run, const struct live *live, const char *const *arguments);
/* The program's path. */
const char *live_program(void);

#endif
