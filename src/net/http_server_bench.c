/* SPDX-License-Identifier: Apache-2.0 */
/* Server CPU for a small POST on a keep-alive connection, answered by a constant of 300 bytes, with
 * one loop and one client thread: on the loop, and through the worker pool. `--serve PORT SECONDS`
 * keeps the same server up for an outside load generator of HTTP/1, HTTP/2 or gRPC
 * (/bench.Bench/Call) instead and prints the CPU for each request at the end. */
#include "net/grpc.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static char constant[300];

static struct ig_http_decision on_request(void *context, struct ig_exchange *exchange)
{
    (void)context, (void)exchange;
    return (struct ig_http_decision){IG_HTTP_BUFFER, 1 << 20};
}

static void answer(void *context, struct ig_exchange *exchange)
{
    (void)context;
    exchange->content_type = "application/json";
    ig_buf_add(&exchange->reply, constant, sizeof constant);
}

static enum ig_http_next on_body(void *context, struct ig_exchange *exchange)
{
    exchange->work = answer;
    if (ig_str_is(exchange->request.path, "/in-pool")) return IG_HTTP_TO_POOL;
    answer(context, exchange);
    return IG_HTTP_DONE;
}

static void on_call(void *context, struct ig_grpc_call *call)
{
    (void)context, (void)call;
}

static enum ig_grpc_next on_message(void *context, struct ig_grpc_call *call)
{
    struct ig_err err = IG_ERR_INIT;
    (void)context;
    (void)ig_grpc_reply(call, (struct ig_str){constant, sizeof constant}, &err);
    return IG_GRPC_NEXT;
}

static const struct ig_grpc_service SERVICE = {
    .prefix = "/bench.Bench/", .on_call = on_call, .on_message = on_message};

static uint64_t thread_cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int connect_to(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        perror("connect");
        exit(1);
    }
    return fd;
}

/* Sends `depth` requests at once and reads their answers, `rounds` times. */
static void drive(uint16_t port, const char *path, unsigned rounds, unsigned depth)
{
    static const char REQUEST[] = "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                                  "Content-Type: application/json\r\nContent-Length: 99\r\n\r\n"
                                  "{\"features\": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, "
                                  "1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7]}";
    char request[64 * sizeof REQUEST], reply[64 * 1024];
    size_t size = 0, expected = 0;
    for (unsigned i = 0; i < depth; i++)
        size += (size_t)snprintf(request + size, sizeof request - size, REQUEST, path);
    int fd = connect_to(port);
    uint64_t client_ns = thread_cpu_ns(), all_ns = ig_clock_cpu_ns(), wall_ns = ig_clock_ns();
    for (unsigned round = 0; round < rounds; round++) {
        if (send(fd, request, size, MSG_NOSIGNAL) != (ssize_t)size) exit(1);
        size_t got = 0;
        while (got == 0 || got < expected) {
            ssize_t n = recv(fd, reply + got, sizeof reply - got, 0);
            if (n <= 0) exit(1);
            got += (size_t)n;
            char *end = expected ? NULL : memmem(reply, got, "\r\n\r\n", 4);
            if (end) expected = depth * ((size_t)(end - reply) + 4 + sizeof constant);
        }
    }
    wall_ns = ig_clock_ns() - wall_ns;
    client_ns = thread_cpu_ns() - client_ns;
    all_ns = ig_clock_cpu_ns() - all_ns - client_ns;
    double count = (double)rounds * depth;
    printf("%-8s pipelined %2u: %8.0f requests/s, server CPU %6.2f us a request\n", path, depth,
           count / ((double)wall_ns / 1e9), (double)all_ns / 1e3 / count);
    close(fd);
}

int main(int argc, char **argv)
{
    bool smoke = argc > 1 && strcmp(argv[1], "--smoke") == 0;
    bool serve = argc > 3 && strcmp(argv[1], "--serve") == 0;
    struct ig_err err = IG_ERR_INIT;
    struct ig_http_server *server = NULL;
    struct ig_http_server_options options = {
        .loops = 1,
        .port = serve ? (uint16_t)strtoul(argv[2], NULL, 10) : 0,
        .grpc = &SERVICE,
        .grpc_count = 1,
        .handler = {.on_request = on_request, .on_body = on_body}};
    memset(constant, 'x', sizeof constant);
    if (ig_http_server_start(&server, &options, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    if (serve) {
        struct ig_http_stats stats;
        uint64_t before = ig_clock_cpu_ns();
        sleep((unsigned)strtoul(argv[3], NULL, 10));
        ig_http_server_stats(server, &stats);
        double cpu_us = (double)(ig_clock_cpu_ns() - before) / 1e3;
        printf("%llu requests, server CPU %.2f us a request\n", (unsigned long long)stats.requests,
               stats.requests ? cpu_us / (double)stats.requests : 0);
    } else {
        unsigned rounds = smoke ? 200 : 100000;
        uint16_t port = ig_http_server_port(server);
        drive(port, "/on-loop", rounds, 1);
        drive(port, "/on-loop", rounds / 8, 16);
        drive(port, "/in-pool", rounds, 1);
    }
    ig_http_server_stop(server, 1000);
    ig_http_server_free(server);
    return 0;
}
