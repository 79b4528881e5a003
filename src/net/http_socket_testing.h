/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_NET_HTTP_SOCKET_TESTING_H
#define IG_NET_HTTP_SOCKET_TESTING_H

/* Tests' end of a connection to a server, through a tunnel where there is TLS. */

#include "net/http_reply_testing.h"
#include "net/http_server.h"
#include "net/tls_testing.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A connection whose reads give up after three seconds; small_window keeps the receive buffer
 * small. */
static inline int dial_socket(const struct ig_http_server *server, bool small_window)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(ig_http_server_port(server))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct timeval patience = {.tv_sec = 3};
    int size = 4096, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (small_window) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        fail_msg("connect: %s", strerror(errno));
    return fd;
}

/* `protocol` is asked for where there is TLS. */
static inline int dial_for(const struct ig_http_server *server, bool small_window,
                           const char *protocol)
{
    int fd = dial_socket(server, small_window);
    return over_tls ? tunnel_open(fd, protocol) : fd;
}

static inline int dial(const struct ig_http_server *server, bool small_window)
{
    return dial_for(server, small_window, "http/1.1");
}

static inline void send_bytes(int fd, const void *bytes, size_t size)
{
    for (size_t sent = 0; sent < size;) {
        ssize_t n = send(fd, (const char *)bytes + sent, size - sent, MSG_NOSIGNAL);
        if (n <= 0) return; /* the server may close early; what it answered is what counts */
        sent += (size_t)n;
    }
}

static inline void send_text(int fd, const char *text)
{
    send_bytes(fd, text, strlen(text));
}

/* All that comes until the end of the connection. */
static inline size_t receive_all(int fd, char *bytes, size_t size)
{
    size_t got = 0;
    for (ssize_t n; got < size - 1 && (n = recv(fd, bytes + got, size - 1 - got, 0)) > 0;)
        got += (size_t)n;
    bytes[got] = '\0';
    return got;
}

/* Until `text` has come `times` times; false when the connection ends or is silent before. */
static inline bool receive_until(int fd, char *bytes, size_t size, const char *text, int times)
{
    size_t got = 0;
    for (;;) {
        int found = 0;
        bytes[got] = '\0';
        for (const char *at = bytes;
             (at = memmem(at, got - (size_t)(at - bytes), text, strlen(text))); at++)
            found++;
        if (found >= times) return true;
        if (got == size - 1) return false;
        ssize_t n = recv(fd, bytes + got, size - 1 - got, 0);
        if (n <= 0) return false;
        got += (size_t)n;
    }
}

/* Sends on a new connection and receives until the server closes it. */
static inline char *talk(const struct ig_http_server *server, struct ig_str request)
{
    static char reply[300000];
    int fd = dial(server, false);
    send_bytes(fd, request.ptr, request.len);
    receive_all(fd, reply, sizeof reply);
    close(fd);
    return reply;
}

#endif
