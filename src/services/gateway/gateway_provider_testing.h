/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_GATEWAY_GATEWAY_PROVIDER_TESTING_H
#define IG_SERVICES_GATEWAY_GATEWAY_PROVIDER_TESTING_H

/* For tests: a provider of language models on loopback. It answers one request after the other with
 * what stands next in a list (its last again and again), byte for byte, and keeps what came. */

#include "base/str.h"
#include "base/thread.h"

#include <arpa/inet.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { IG_ASKED_MAX = 64, IG_ASKED_BYTES = 16384 };

struct ig_said {
    const char *status; /* "200 OK"; NULL: hangs up */
    const char *type, *body;
    unsigned late_ms;    /* behind the head */
    size_t promised;     /* Content-Length, when not the body's: longer is a cut */
    size_t again;        /* how often the body is sent, when not once */
    bool keeps;          /* the connection stays open */
    const char *headers; /* "Name: value\r\n", or NULL */
};

struct ig_fake_provider {
    int fd;
    unsigned port;
    uint64_t thread;
    const struct ig_said *said;
    size_t said_count;
    atomic_uint asked_count, connections;
    char asked[IG_ASKED_MAX][IG_ASKED_BYTES]; /* head and body */
};

static inline bool ig_fake_answer(const struct ig_said *said, int fd)
{
    char head[512];
    size_t length = strlen(said->body), again = said->again ? said->again : 1;
    if (!said->status) return false;
    snprintf(head, sizeof head,
             "HTTP/1.1 %s\r\nContent-Type: %s\r\n%sContent-Length: %zu\r\nConnection: %s\r\n\r\n",
             said->status, said->type, said->headers ? said->headers : "",
             said->promised ? said->promised : length * again,
             said->keeps ? "keep-alive" : "close");
    (void)!send(fd, head, strlen(head), MSG_NOSIGNAL);
    if (said->late_ms) usleep(said->late_ms * 1000);
    static char many[1 << 16]; /* one thread a provider, one provider at a time */
    size_t whole = length ? sizeof many / length : 1;
    for (size_t i = 0; again > whole && i < whole; i++)
        memcpy(many + i * length, said->body, length);
    for (; again > whole; again -= whole)
        if (send(fd, many, whole * length, MSG_NOSIGNAL) < 0) return false;
    for (; again; again--)
        if (send(fd, said->body, length, MSG_NOSIGNAL) < 0) return false;
    return said->keeps;
}

static inline bool ig_fake_whole(const char *text)
{
    const char *end = strstr(text, "\r\n\r\n"), *length = strstr(text, "Content-Length: ");
    uint64_t bytes = 0;
    for (const char *at = length ? length + 16 : ""; *at >= '0' && *at <= '9'; at++)
        bytes = 10 * bytes + (uint64_t)(*at - '0');
    return end && length && strlen(end + 4) >= bytes;
}

/* False at the connection's end. */
static inline bool ig_fake_serve(struct ig_fake_provider *provider, int fd)
{
    size_t number = atomic_load(&provider->asked_count), used = 0;
    size_t last = provider->said_count - 1;
    char *text = provider->asked[number % IG_ASKED_MAX];
    memset(text, 0, IG_ASKED_BYTES);
    while (used < IG_ASKED_BYTES - 1 && !ig_fake_whole(text)) {
        ssize_t got = recv(fd, text + used, IG_ASKED_BYTES - 1 - used, 0);
        if (got <= 0) return false;
        used += (size_t)got;
    }
    atomic_fetch_add(&provider->asked_count, 1);
    return ig_fake_answer(&provider->said[number < last ? number : last], fd);
}

static inline void *ig_fake_run(void *context)
{
    struct ig_fake_provider *provider = context;
    for (;;) {
        int fd = accept(provider->fd, NULL, NULL);
        if (fd < 0) return NULL;
        atomic_fetch_add(&provider->connections, 1);
        while (ig_fake_serve(provider, fd))
            ;
        close(fd);
    }
}

/* False: no port can be had. */
static inline bool ig_fake_start(struct ig_fake_provider *provider, const struct ig_said *said,
                                 size_t count)
{
    struct ig_err err = IG_ERR_INIT;
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    memset(provider, 0, sizeof *provider);
    provider->said = said;
    provider->said_count = count;
    provider->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(provider->fd, (struct sockaddr *)&address, size) || listen(provider->fd, 64) ||
        getsockname(provider->fd, (struct sockaddr *)&address, &size))
        return false;
    provider->port = ntohs(address.sin_port);
    return ig_thread_start(&provider->thread, "provider", ig_fake_run, provider, &err) == IG_OK;
}

static inline void ig_fake_stop(struct ig_fake_provider *provider)
{
    shutdown(provider->fd, SHUT_RDWR);
    ig_thread_join(provider->thread);
    close(provider->fd);
}

/* The body of a request, by its number. */
static inline const char *ig_fake_body(const struct ig_fake_provider *provider, size_t number)
{
    const char *end = strstr(provider->asked[number], "\r\n\r\n");
    return end ? end + 4 : "";
}

#endif
