/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_APP_SERVICES_H
#define IG_APP_SERVICES_H

/* All stores and services over one data directory, opened in order and closed in reverse. */

#include "api/app.h"
#include "cli.h"

struct ig_services {
    struct ig_app app; /* its pointers to stores and services are filled */
    int dirfd;
    char blobs[1024]; /* where they are */
    bool blobs_known; /* and were when the server last started */
    struct ig_replica_host *replicas;
};

enum ig_services_depth {
    IG_SERVICES_KEYS,     /* database and keys */
    IG_SERVICES_REGISTRY, /* and blobs, registry */
    IG_SERVICES_GC,       /* and garbage collection */
    IG_SERVICES_ALL,      /* and deployments, jobs, decision log */
};

struct ig_services_options {
    const char *dir;
    const char *database;      /* ig_db_options; NULL: INGOT_DATABASE, and no setting else */
    const char *password_file; /* NULL with `database` NULL: INGOT_DATABASE_PASSWORD_FILE */
    enum ig_services_depth depth;
    bool must_exist;       /* NOT_FOUND rather than a new directory */
    unsigned loops;        /* rings of the decision log */
    size_t cache_bytes;    /* of explanations */
    size_t models_bytes;   /* of loaded models; 0: all stay loaded */
    size_t tables_bytes;   /* of the explainers of one loaded model; 0: 1 GiB */
    unsigned jobs_running; /* at a time */
    unsigned jobs_keep_days;
    uint64_t retention_deleted_days, retention_unused_days; /* 0: kept */
    const char
        *blobs; /* borrowed until the end; NULL: INGOT_BLOBS, or where the server keeps them */
    size_t blobs_cache_bytes;
    struct ig_webhooks_options webhooks;   /* its db is filled in */
    struct ig_gateway_options gateway;     /* its db, tracking and dirfd are filled in */
    enum ig_permission default_permission; /* of users */
};

/* The first line of a file, for a database. */
enum ig_code ig_services_password(struct ig_buf *out, const char *path, struct ig_err *err);
/* CONFLICT when another process holds the directory. */
enum ig_code ig_services_open(struct ig_services *services,
                              const struct ig_services_options *options, struct ig_err *err);
/* Also after a failed open. No event loop may run any more. */
void ig_services_close(struct ig_services *services);

#endif
