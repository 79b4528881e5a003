/* SPDX-License-Identifier: Apache-2.0 */
/* Durable writes a second by the number of writers: how much group commit shares an fsync. */
#include "base/clock.h"
#include "base/file.h"
#include "base/thread.h"
#include "stores/db_testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WRITERS_MAX = 64 };

struct load {
    struct ig_db *db;
    unsigned writer, writers, round;
    uint64_t until_ns;
    uint64_t done;
};

static enum ig_code add(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct load *load = context;
    char name[64];
    snprintf(name, sizeof name, "%u.%u.%u.%llu", load->round, load->writers, load->writer,
             (unsigned long long)load->done);
    return ig_db_exec(tx,
                      "insert into models(name, description, created_ms, last_version)"
                      " values($1, '', 0, 0)",
                      IG_DB_VALUES(IG_DB_C(name)), err);
}

static void *write_load(void *context)
{
    struct load *load = context;
    struct ig_err err = IG_ERR_INIT;
    while (ig_clock_ns() < load->until_ns) {
        IG_ASSERT(ig_db_write(load->db, add, load, &err) == IG_OK);
        load->done++;
    }
    return NULL;
}

static void measure(struct ig_db *db, unsigned writers, unsigned round, uint64_t for_ns)
{
    struct ig_err err = IG_ERR_INIT;
    struct load loads[WRITERS_MAX];
    uint64_t threads[WRITERS_MAX], done = 0;
    struct ig_db_stats before, after;
    ig_db_stats(db, &before);
    uint64_t start = ig_clock_ns();
    for (unsigned i = 0; i < writers; i++) {
        loads[i] = (struct load){db, i, writers, round, start + for_ns, 0};
        IG_ASSERT(ig_thread_start(&threads[i], "bench", write_load, &loads[i], &err) == IG_OK);
    }
    for (unsigned i = 0; i < writers; i++) ig_thread_join(threads[i]);
    double seconds = (double)(ig_clock_ns() - start) / 1e9;
    for (unsigned i = 0; i < writers; i++) done += loads[i].done;
    ig_db_stats(db, &after);
    printf("db: %2u writers %8.0f writes/s %6.0f fsyncs/s %6.1f ms a write\n", writers,
           (double)done / seconds, (double)(after.commits - before.commits) / seconds,
           seconds * 1e3 * writers / (double)(done ? done : 1));
}

int main(int argc, char **argv)
{
    bool smoke = argc > 1 && strcmp(argv[1], "--smoke") == 0;
    char path[] = "/tmp/ingot-bench-XXXXXX";
    struct ig_err err = IG_ERR_INIT;
    struct ig_db *db = NULL;
    int fd = -1;
    IG_ASSERT(mkdtemp(path) != NULL);
    IG_ASSERT(ig_dir_open(&fd, IG_FILE_CWD, path, &err) == IG_OK);
    struct ig_db_options options = ig_db_testing_options(fd);
    IG_ASSERT(ig_db_open(&db, &options, &err) == IG_OK);
    for (unsigned writers = 1; writers <= WRITERS_MAX; writers *= 4)
        measure(db, writers, 0, smoke ? 20000000 : 2000000000);
    ig_db_close(db);
    ig_file_close(&fd);
    return ig_dir_remove_tree(IG_FILE_CWD, path, &err) == IG_OK ? 0 : 1;
}
