/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_TESTS_S3_SERVER_H
#define IG_TESTS_S3_SERVER_H

/* A small S3 in a process of its own, on a port of loopback: one bucket, "ingot-test", path style,
 * objects as files in a directory. It checks signatures and checksums as S3 does, lists three names
 * a page, and fails where a test asks for it. Every function fails the running cmocka test when
 * something is not as it should be. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define S3_SERVER_ACCESS_KEY "AKIAIOSFODNN7EXAMPLE"
#define S3_SERVER_SECRET_KEY "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"

enum s3_fault {
    S3_FAULT_REFUSE,   /* `status` and `code`, nothing is done */
    S3_FAULT_CUT,      /* the connection ends without a reply, nothing is done */
    S3_FAULT_LOSE,     /* it is done, and the connection ends without a reply */
    S3_FAULT_TRUNCATE, /* half of the body, then the end */
    S3_FAULT_FLIP,     /* a byte of the body sent is another; of a body received too */
    S3_FAULT_LATE,     /* status 200, and in the body an error with `code` */
    S3_FAULT_GARBAGE,  /* what is no HTTP */
};

/* Shared with the server. */
struct s3_server_shared {
    atomic_int faults_left; /* that many requests that match meet the fault */
    enum s3_fault fault;
    int status;
    char code[48];
    char method[8];    /* empty: any */
    char contains[64]; /* in the target; empty: any */
    atomic_int requests, refused, parts;
    atomic_long began_ms_ago; /* by that, uploads in parts are older than they are */
};

struct s3_server {
    pid_t pid;
    uint16_t port;
    char dir[64];
    struct s3_server_shared *shared;
};

/* Sets the AWS variables of the environment as well. Before any thread is started. */
void s3_server_start(struct s3_server *server);
void s3_server_stop(struct s3_server *server);
/* "s3://ingot-test/PREFIX?endpoint=..." */
void s3_server_url(char out[256], const struct s3_server *server, const char *prefix);
/* The next `count` requests of that kind; NULL: any. */
void s3_server_fail(struct s3_server *server, enum s3_fault fault, int count, const char *method,
                    const char *contains);
void s3_server_refuse(struct s3_server *server, int count, int status, const char *code);
/* Changes a byte of an object, adds one, counts; `key` with the prefix. */
void s3_server_damage(const struct s3_server *server, const char *key);
int s3_server_count(const struct s3_server *server, const char *key_prefix);
int s3_server_uploads(const struct s3_server *server); /* in parts, unfinished */

#endif
