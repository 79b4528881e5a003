/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_STORES_POSTGRES_PROXY_TESTING_H
#define IG_STORES_POSTGRES_PROXY_TESTING_H

/* For tests: stands between a client and a PostgreSQL, and loses the connection at the next commit:
 * before the server hears of it, or before the client hears of its success; or at the next insert,
 * of whose success the client hears, but not that the server is ready again. */

#include "base/thread.h"
#include "stores/postgres_testing.h"

#include <poll.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

enum ig_proxy_mode {
    IG_PROXY_PASS,
    IG_PROXY_LOSE_COMMIT,
    IG_PROXY_LOSE_ANSWER,
    IG_PROXY_LOSE_READY
};
enum { IG_PROXY_PAIRS = 32 };

struct ig_proxy {
    char dir[80]; /* of its socket */
    struct sockaddr_un server;
    atomic_int mode;
    atomic_bool stop;
    int listener;
    int ends[IG_PROXY_PAIRS][2]; /* client, server; -1: free */
    uint64_t thread;
};

static inline void ig_proxy_close(struct ig_proxy *proxy, int pair)
{
    close(proxy->ends[pair][0]);
    close(proxy->ends[pair][1]);
    proxy->ends[pair][0] = proxy->ends[pair][1] = -1;
}

static inline void ig_proxy_accept(struct ig_proxy *proxy)
{
    int pair = 0, client = accept(proxy->listener, NULL, NULL);
    int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    while (proxy->ends[pair][0] >= 0) pair++;
    IG_ASSERT(pair < IG_PROXY_PAIRS);
    IG_ASSERT(connect(server, (struct sockaddr *)&proxy->server, sizeof proxy->server) == 0);
    proxy->ends[pair][0] = client;
    proxy->ends[pair][1] = server;
}

static inline bool ig_proxy_is_commit(const char *bytes, ssize_t count)
{
    static const char COMMIT[] = "Q\0\0\0\013commit";
    return count == sizeof COMMIT && memcmp(bytes, COMMIT, sizeof COMMIT) == 0;
}

/* Where the message that the server is ready again begins, behind that of an insert; else NULL. */
static inline const char *ig_proxy_ready(const char *bytes, ssize_t count)
{
    static const char INSERTED[] = "INSERT 0 1\0Z\0\0\0\005T";
    const ssize_t size = sizeof INSERTED - 1, ready = 6;
    if (count < size || memcmp(bytes + count - size, INSERTED, (size_t)size) != 0) return NULL;
    return bytes + count - ready;
}

/* Hands on what has arrived at one end. */
static inline void ig_proxy_move(struct ig_proxy *proxy, int pair, int from)
{
    char bytes[16384];
    ssize_t count = read(proxy->ends[pair][from], bytes, sizeof bytes);
    const char *ready = from == 1 ? ig_proxy_ready(bytes, count) : NULL;
    int losing = IG_PROXY_LOSE_READY;
    if (ready && atomic_compare_exchange_strong(&proxy->mode, &losing, IG_PROXY_PASS)) {
        IG_ASSERT(write(proxy->ends[pair][0], bytes, (size_t)(ready - bytes)) == ready - bytes);
        ig_proxy_close(proxy, pair);
        return;
    }
    bool commit = from == 0 && ig_proxy_is_commit(bytes, count);
    int mode = commit ? atomic_exchange(&proxy->mode, IG_PROXY_PASS) : IG_PROXY_PASS;
    bool lost = count <= 0 || mode == IG_PROXY_LOSE_COMMIT ||
                write(proxy->ends[pair][!from], bytes, (size_t)count) != count;
    if (mode == IG_PROXY_LOSE_ANSWER) lost = read(proxy->ends[pair][1], bytes, sizeof bytes) > 0;
    if (lost) ig_proxy_close(proxy, pair);
}

static inline void *ig_proxy_main(void *context)
{
    struct ig_proxy *proxy = context;
    while (!atomic_load(&proxy->stop)) {
        struct pollfd ready[1 + 2 * IG_PROXY_PAIRS];
        for (int i = 0; i < 2 * IG_PROXY_PAIRS; i++)
            ready[1 + i] = (struct pollfd){proxy->ends[i / 2][i % 2], POLLIN, 0};
        ready[0] = (struct pollfd){proxy->listener, POLLIN, 0};
        if (poll(ready, 1 + 2 * IG_PROXY_PAIRS, 20) <= 0) continue;
        for (int i = 0; i < 2 * IG_PROXY_PAIRS; i++)
            if (ready[1 + i].revents && proxy->ends[i / 2][i % 2] >= 0)
                ig_proxy_move(proxy, i / 2, i % 2);
        if (ready[0].revents) ig_proxy_accept(proxy);
    }
    return NULL;
}

static inline void ig_proxy_start(struct ig_proxy *proxy, const struct ig_postgres *postgres)
{
    struct ig_err err = IG_ERR_INIT;
    struct sockaddr_un own = {.sun_family = AF_UNIX};
    *proxy = (struct ig_proxy){.server = {.sun_family = AF_UNIX}};
    snprintf(proxy->dir, sizeof proxy->dir, "%s/proxy", postgres->dir);
    assert_int_equal(mkdir(proxy->dir, 0755), 0);
    snprintf(own.sun_path, sizeof own.sun_path, "%s/.s.PGSQL.5432", proxy->dir);
    snprintf(proxy->server.sun_path, sizeof proxy->server.sun_path, "%s/.s.PGSQL.5432",
             postgres->dir);
    memset(proxy->ends, -1, sizeof proxy->ends);
    proxy->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(proxy->listener, (struct sockaddr *)&own, sizeof own), 0);
    assert_int_equal(listen(proxy->listener, 16), 0);
    ASSERT_OK(ig_thread_start(&proxy->thread, "proxy", ig_proxy_main, proxy, &err));
}

static inline void ig_proxy_stop(struct ig_proxy *proxy)
{
    atomic_store(&proxy->stop, true);
    ig_thread_join(proxy->thread);
    for (int i = 0; i < IG_PROXY_PAIRS; i++)
        if (proxy->ends[i][0] >= 0) ig_proxy_close(proxy, i);
    close(proxy->listener);
}

#endif
