/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_WEBHOOK_WEBHOOK_TESTING_H
#define IG_SERVICES_WEBHOOK_WEBHOOK_TESTING_H

/* For tests: a place on loopback that webhooks are told at. It answers each connection's one
 * request with the next status of a list (its last again and again) and keeps what came. */

#include "base/str.h"
#include "base/thread.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { IG_HEARD_MAX = 64, IG_HEARD_BYTES = 8192 };

struct ig_listener {
    int fd;
    unsigned port;
    uint64_t thread;
    const int *statuses; /* 0: hang up without an answer; -1: never answer */
    size_t statuses_count;
    const char *location; /* of redirects; NULL: a path of this one */
    atomic_uint heard_count;
    char heard[IG_HEARD_MAX][IG_HEARD_BYTES]; /* head and body */
};

static inline void ig_listener_answer(struct ig_listener *listener, int fd, size_t number)
{
    char reply[256], here[64];
    size_t last = listener->statuses_count - 1;
    int status = listener->statuses[number < last ? number : last];
    if (status == -1) usleep(300 * 1000);
    if (status <= 0) return;
    snprintf(here, sizeof here, "http://127.0.0.1:%u/other", listener->port);
    int length = snprintf(reply, sizeof reply,
                          "HTTP/1.1 %d X\r\nLocation: %s\r\nContent-Length: 5\r\n\r\nheard", status,
                          listener->location ? listener->location : here);
    (void)!send(fd, reply, (size_t)length, MSG_NOSIGNAL);
}

static inline bool ig_listener_whole(const char *text)
{
    const char *end = strstr(text, "\r\n\r\n"), *length = strstr(text, "Content-Length: ");
    uint64_t bytes = 0;
    for (const char *at = length ? length + 16 : ""; *at >= '0' && *at <= '9'; at++)
        bytes = 10 * bytes + (uint64_t)(*at - '0');
    return end && length && strlen(end + 4) >= bytes;
}

static inline void *ig_listener_run(void *context)
{
    struct ig_listener *listener = context;
    for (;;) {
        int fd = accept(listener->fd, NULL, NULL);
        if (fd < 0) return NULL;
        size_t number = atomic_load(&listener->heard_count), used = 0;
        char *text = listener->heard[number % IG_HEARD_MAX];
        memset(text, 0, IG_HEARD_BYTES);
        for (ssize_t got = 1; got > 0 && !ig_listener_whole(text); used += (size_t)got) {
            got = recv(fd, text + used, IG_HEARD_BYTES - 1 - used, 0);
            if (got < 0) got = 0;
        }
        if (used) {
            ig_listener_answer(listener, fd, number);
            atomic_fetch_add(&listener->heard_count, 1);
        }
        close(fd);
    }
}

/* `port` 0: a free one. False: it cannot be had. */
static inline bool ig_listener_start(struct ig_listener *listener, unsigned port,
                                     const int *statuses, size_t count)
{
    struct ig_err err = IG_ERR_INIT;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    socklen_t size = sizeof address;
    int on = 1;
    memset(listener, 0, sizeof *listener);
    listener->statuses = statuses;
    listener->statuses_count = count;
    listener->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener->fd, (struct sockaddr *)&address, size) || listen(listener->fd, 64) ||
        getsockname(listener->fd, (struct sockaddr *)&address, &size))
        return false;
    listener->port = ntohs(address.sin_port);
    return ig_thread_start(&listener->thread, "listener", ig_listener_run, listener, &err) == IG_OK;
}

static inline void ig_listener_stop(struct ig_listener *listener)
{
    shutdown(listener->fd, SHUT_RDWR);
    ig_thread_join(listener->thread);
    close(listener->fd);
}

/* Whether so many were heard within five seconds. */
static inline bool ig_listener_wait(struct ig_listener *listener, unsigned count)
{
    for (int i = 0; i < 1000 && atomic_load(&listener->heard_count) < count; i++) usleep(5000);
    return atomic_load(&listener->heard_count) >= count;
}

/* The value of a header of a request that was heard; "" when it has none. Static memory. */
static inline const char *ig_listener_header(const struct ig_listener *listener, size_t number,
                                             const char *name)
{
    static char value[256];
    char wanted[64];
    snprintf(wanted, sizeof wanted, "\r\n%s: ", name);
    const char *at = strstr(listener->heard[number], wanted);
    value[0] = '\0';
    if (!at) return value;
    at += strlen(wanted);
    snprintf(value, sizeof value, "%.*s", (int)strcspn(at, "\r"), at);
    return value;
}

static inline const char *ig_listener_body(const struct ig_listener *listener, size_t number)
{
    const char *end = strstr(listener->heard[number], "\r\n\r\n");
    return end ? end + 4 : "";
}

#endif
