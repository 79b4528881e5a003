/* SPDX-License-Identifier: Apache-2.0 */
/* The conformance suite of every database driver in stores.def, then what is the front's own: group
 * commit, the lock, injected failures, and kill -9 at random moments. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/thread.h"
#include "stores/db_priv.h"
#include "stores/temp_testing.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

static const char *driver_name = "sqlite";

static struct ig_db *open_db(const struct ig_temp *temp)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_db_options options = {.driver = driver_name, .dirfd = temp->fd};
    struct ig_db *db = NULL;
    ASSERT_OK(ig_db_open(&db, &options, &err));
    return db;
}

/* One model row a name: a table that every driver's migrations make. */
static enum ig_code add_model(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    return ig_db_exec(tx,
                      "insert into models(name, description, created_ms, last_version)"
                      " values($1, $2, $3, 0)",
                      IG_DB_VALUES(IG_DB_C(context), IG_DB_T(((struct ig_str){0})), IG_DB_I(-5)),
                      err);
}

static enum ig_code add_model_then_fail(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    enum ig_code code = add_model(tx, context, err);
    return code != IG_OK ? code : ig_fail(err, IG_INVALID, "changed my mind");
}

static enum ig_code count_models(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    enum ig_code code = ig_db_query(&rows, tx, "select count(*) from models", NULL, 0, err);
    if (code != IG_OK) return code;
    if (ig_db_next(rows, err)) *(int64_t *)context = ig_db_i64(rows, 0);
    ig_db_finish(rows);
    return err->code;
}

static int64_t models(struct ig_db *db)
{
    struct ig_err err = IG_ERR_INIT;
    int64_t count = -1;
    ASSERT_OK(ig_db_read(db, count_models, &count, &err));
    return count;
}

/* Two texts in one place, and LIKE with capitals. */
static enum ig_code query_composed(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    static const char *const texts[] = {"select count(*) from models where name like $1",
                                        "select 10 * count(*) from models where name = $1"};
    int64_t *sum = context;
    char sql[64];
    for (int i = 0; i < 2; i++) {
        struct ig_db_rows *rows = NULL;
        snprintf(sql, sizeof sql, "%s", texts[i]);
        if (ig_db_query_once(&rows, tx, sql, IG_DB_VALUES(IG_DB_C("A")), err) != IG_OK)
            return err->code;
        memset(sql, 'x', sizeof sql);
        if (ig_db_next(rows, err)) *sum += ig_db_i64(rows, 0);
        ig_db_finish(rows);
    }
    return err->code;
}

static enum ig_code query_wrong(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    (void)context;
    return ig_db_query_once(&rows, tx, "select nothing from nowhere", NULL, 0, err);
}

static void test_composed_statements(void **state)
{
    struct ig_temp temp = ig_temp_make();
    struct ig_err err = IG_ERR_INIT;
    int64_t sum = 0;
    (void)state;
    struct ig_db *db = open_db(&temp);
    ASSERT_OK(ig_db_write(db, add_model, "a", &err));
    ASSERT_OK(ig_db_write(db, add_model, "A", &err));
    ASSERT_OK(ig_db_read(db, query_composed, &sum, &err));
    assert_int_equal(sum, 11);
    ASSERT_FAILS(ig_db_read(db, query_wrong, NULL, &err), IG_INTERNAL, "select nothing");
    ig_db_close(db);
    ig_temp_remove(&temp);
}

static void test_writes_survive_reopening(void **state)
{
    struct ig_temp temp = ig_temp_make();
    struct ig_err err = IG_ERR_INIT;
    struct ig_db_stats stats;
    (void)state;
    struct ig_db *db = open_db(&temp);
    ASSERT_OK(ig_db_write(db, add_model, "a", &err));
    ASSERT_OK(ig_db_write(db, add_model, "b", &err));
    assert_int_equal(models(db), 2);
    ig_db_stats(db, &stats);
    assert_int_equal(stats.writes, 2);
    assert_int_equal(stats.schema_version, 13);
    ig_db_close(db);
    db = open_db(&temp);
    assert_int_equal(models(db), 2);
    ig_db_close(db);
    ig_temp_remove(&temp);
}

static void test_failed_work_leaves_nothing(void **state)
{
    struct ig_temp temp = ig_temp_make();
    struct ig_err err = IG_ERR_INIT;
    (void)state;
    struct ig_db *db = open_db(&temp);
    ASSERT_FAILS(ig_db_write(db, add_model_then_fail, "a", &err), IG_INVALID, "changed my mind");
    assert_int_equal(models(db), 0);
    ASSERT_OK(ig_db_write(db, add_model, "a", &err));
    ASSERT_FAILS(ig_db_write(db, add_model, "a", &err), IG_EXISTS, "models.name");
    assert_int_equal(models(db), 1);
    ig_db_close(db);
    ig_temp_remove(&temp);
}

static enum ig_code add_reasons(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    (void)context;
    return ig_db_exec(tx, "insert into reasons(model, spec, updated_ms) values('m', 'x', 1)", NULL,
                      0, err);
}

static void test_foreign_keys_conflict(void **state)
{
    struct ig_temp temp = ig_temp_make();
    struct ig_err err = IG_ERR_INIT;
    (void)state;
    struct ig_db *db = open_db(&temp);
    ASSERT_FAILS(ig_db_write(db, add_reasons, NULL, &err), IG_CONFLICT, "FOREIGN KEY");
    ig_db_close(db);
    ig_temp_remove(&temp);
}

static enum ig_code round_trip(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    (void)context;
    assert_int_equal(ig_db_query(&rows, tx, "select $1, $2, $3, $4, $2",
                                 IG_DB_VALUES(IG_DB_I(INT64_MIN), IG_DB_F(0.1), IG_DB_N(),
                                              IG_DB_T(IG_STR("a\0b"))),
                                 err),
                     IG_OK);
    assert_true(ig_db_next(rows, err));
    assert_true(ig_db_i64(rows, 0) == INT64_MIN);
    assert_true(ig_db_f64(rows, 1) == 0.1);
    assert_true(ig_db_is_null(rows, 2));
    assert_false(ig_db_is_null(rows, 3));
    assert_true(ig_str_eq(ig_db_text(rows, 3), IG_STR("a\0b")));
    assert_true(ig_db_f64(rows, 4) == 0.1);
    assert_false(ig_db_next(rows, err));
    ig_db_finish(rows);
    return err->code;
}

static void test_values_round_trip(void **state)
{
    struct ig_temp temp = ig_temp_make();
    struct ig_err err = IG_ERR_INIT;
    (void)state;
    struct ig_db *db = open_db(&temp);
    for (int i = 0; i < 3; i++) ASSERT_OK(ig_db_read(db, round_trip, NULL, &err));
    ig_db_close(db);
    ig_temp_remove(&temp);
}

static void test_readers_cannot_write(void **state)
{
    struct ig_temp temp = ig_temp_make();
    struct ig_err err = IG_ERR_INIT;
    (void)state;
    struct ig_db *db = open_db(&temp);
    ASSERT_FAILS(ig_db_read(db, add_model, "a", &err), IG_IO, "readonly");
    assert_int_equal(models(db), 0);
    ig_db_close(db);
    ig_temp_remove(&temp);
}

static void test_second_process_is_refused(void **state)
{
    struct ig_temp temp = ig_temp_make();
    struct ig_err err = IG_ERR_INIT;
    struct ig_db_options options = {.driver = driver_name, .dirfd = temp.fd};
    struct ig_db *other = NULL;
    (void)state;
    struct ig_db *db = open_db(&temp);
    char pid[32];
    snprintf(pid, sizeof pid, "process %ld", (long)getpid());
    ASSERT_FAILS(ig_db_open(&other, &options, &err), IG_CONFLICT, pid);
    ig_db_close(db);
    db = open_db(&temp);
    ig_db_close(db);
    options.driver = "oracle";
    ASSERT_FAILS(ig_db_open(&other, &options, &err), IG_INVALID, "'oracle'");
    ig_temp_remove(&temp);
}

static enum ig_code bump_schema(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    (void)context;
    return ig_db_exec(tx, "insert into ig_schema(version, name, applied_ms) values(99, 'x', 0)",
                      NULL, 0, err);
}

static void test_newer_schema_is_refused(void **state)
{
    struct ig_temp temp = ig_temp_make();
    struct ig_err err = IG_ERR_INIT;
    struct ig_db_options options = {.driver = driver_name, .dirfd = temp.fd};
    struct ig_db *other = NULL;
    (void)state;
    struct ig_db *db = open_db(&temp);
    ASSERT_OK(ig_db_write(db, bump_schema, NULL, &err));
    ig_db_close(db);
    ASSERT_FAILS(ig_db_open(&other, &options, &err), IG_UNSUPPORTED, "schema 99");
    ig_temp_remove(&temp);
}

struct load {
    struct ig_db *db;
    int thread, writes;
};

static void *write_load(void *context)
{
    struct load *load = context;
    struct ig_err err = IG_ERR_INIT;
    char name[32];
    for (int i = 0; i < load->writes; i++) {
        snprintf(name, sizeof name, "m%d.%d", load->thread, i);
        if (i % 5 == 4) { /* fails amid the others' batch */
            enum ig_code code = ig_db_write(load->db, add_model_then_fail, name, &err);
            IG_ASSERT(code == IG_INVALID);
            ig_err_clear(&err);
        } else {
            IG_ASSERT(ig_db_write(load->db, add_model, name, &err) == IG_OK);
        }
    }
    return NULL;
}

static void *read_load(void *context)
{
    struct load *load = context;
    struct ig_err err = IG_ERR_INIT;
    int64_t before = 0, now = 0;
    for (int i = 0; i < load->writes; i++) {
        IG_ASSERT(ig_db_read(load->db, count_models, &now, &err) == IG_OK);
        IG_ASSERT(now >= before);
        before = now;
    }
    return NULL;
}

static void test_group_commit(void **state)
{
    enum { WRITERS = 8, READERS = 6, WRITES = 20 };
    struct ig_temp temp = ig_temp_make();
    struct ig_err err = IG_ERR_INIT;
    struct ig_db_stats stats;
    struct load loads[WRITERS + READERS];
    uint64_t threads[WRITERS + READERS];
    (void)state;
    struct ig_db *db = open_db(&temp);
    for (int i = 0; i < WRITERS + READERS; i++) {
        loads[i] = (struct load){db, i, WRITES};
        ASSERT_OK(ig_thread_start(&threads[i], "load", i < WRITERS ? write_load : read_load,
                                  &loads[i], &err));
    }
    for (int i = 0; i < WRITERS + READERS; i++) ig_thread_join(threads[i]);
    assert_int_equal(models(db), WRITERS * WRITES * 4 / 5);
    ig_db_stats(db, &stats);
    assert_int_equal(stats.writes, WRITERS * WRITES * 4 / 5);
    assert_true(stats.commits < stats.writes); /* they shared fsyncs */
    ig_db_close(db);
    ig_temp_remove(&temp);
}

static enum ig_code add_big(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    static char text[64 << 10];
    memset(text, 'x', sizeof text);
    return ig_db_exec(tx,
                      "insert into models(name, description, created_ms, last_version)"
                      " values($1, $2, 0, 0)",
                      IG_DB_VALUES(IG_DB_C(context), IG_DB_T(((struct ig_str){text, sizeof text}))),
                      err);
}

static void test_log_is_checkpointed(void **state)
{
    struct ig_temp temp = ig_temp_make();
    struct ig_err err = IG_ERR_INIT;
    struct ig_db_options options = {.dirfd = temp.fd, .wal_max_bytes = 256 << 10};
    struct ig_db_stats stats;
    struct ig_db *db = NULL;
    (void)state;
    ASSERT_OK(ig_db_open(&db, &options, &err));
    for (int i = 0; i < 20; i++) {
        char name[16];
        snprintf(name, sizeof name, "m%d", i);
        ASSERT_OK(ig_db_write(db, add_big, name, &err));
    }
    ASSERT_OK(ig_db_write(db, add_model, "last", &err)); /* the checkpoints before it are over */
    ig_db_stats(db, &stats);
    assert_in_range(stats.checkpoints, 2, 10);
    assert_int_equal(models(db), 21);
    ig_db_close(db);
    ig_temp_remove(&temp);
}

/* Every store call fails in turn; whatever happens, a refused write left nothing behind. */
static void test_nth_call_fails(void **state)
{
    struct ig_temp temp = ig_temp_make();
    (void)state;
    struct ig_db *db = open_db(&temp);
    bool refused = true;
    for (uint64_t n = 1; refused; n++) {
        struct ig_err err = IG_ERR_INIT;
        assert_true(n < 50);
        ig_db_fail_after(n);
        enum ig_code code = ig_db_write(db, add_model, "a", &err);
        refused = ig_db_failed();
        ig_db_fail_after(0);
        assert_int_equal(code, refused ? IG_IO : IG_OK);
        assert_int_equal(models(db), refused ? 0 : 1);
    }
    ig_db_close(db);
    ig_temp_remove(&temp);
}

static void test_nth_allocation_fails(void **state)
{
    struct ig_temp temp = ig_temp_make();
    bool refused = true;
    (void)state;
    for (uint64_t n = 1; refused; n++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_db_options options = {.dirfd = temp.fd};
        struct ig_db *db = NULL;
        assert_true(n < 50);
        ig_mem_fail_after(n);
        enum ig_code code = ig_db_open(&db, &options, &err);
        refused = ig_mem_failed();
        ig_mem_fail_after(0);
        assert_int_equal(code, refused ? IG_NO_MEMORY : IG_OK);
        ig_db_close(db);
    }
    ig_temp_remove(&temp);
}

/* The child writes numbers and reports each once it is acknowledged; it is killed at some moment;
 * all that it reported must be there, and nothing else than what it tried. */
enum { CRASH_THREADS = 3 };

struct crash_load {
    struct ig_db *db;
    int pipe, round, thread;
};

static void *crash_writer(void *context)
{
    struct crash_load *load = context;
    for (int i = 0;; i++) {
        struct ig_err err = IG_ERR_INIT;
        char name[32] = {0};
        snprintf(name, sizeof name, "r%d.%d.%d", load->round, load->thread, i);
        if (ig_db_write(load->db, add_model, name, &err) != IG_OK) _exit(3);
        if (write(load->pipe, name, sizeof name) != sizeof name) _exit(4);
    }
}

static _Noreturn void crash_child(const struct ig_temp *temp, int pipe, int round)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_db_options options = {.dirfd = temp->fd, .wal_max_bytes = 64 << 10};
    struct crash_load loads[CRASH_THREADS];
    struct ig_db *db = NULL;
    if (ig_db_open(&db, &options, &err) != IG_OK) _exit(2);
    for (int i = 0; i < CRASH_THREADS; i++) {
        uint64_t thread;
        loads[i] = (struct crash_load){db, pipe, round, i};
        if (ig_thread_start(&thread, "crash", crash_writer, &loads[i], &err) != IG_OK) _exit(2);
    }
    for (;;) pause();
}

static enum ig_code has_model(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    enum ig_code code = ig_db_query(&rows, tx, "select 1 from models where name = $1",
                                    IG_DB_VALUES(IG_DB_C(context)), err);
    if (code != IG_OK) return code;
    if (!ig_db_next(rows, err)) ig_fail(err, IG_NOT_FOUND, "lost %s", (char *)context);
    ig_db_finish(rows);
    return err->code;
}

static int check_survivors(const struct ig_temp *temp, int pipe)
{
    struct ig_err err = IG_ERR_INIT;
    char name[32];
    int acknowledged = 0;
    struct ig_db *db = open_db(temp);
    while (read(pipe, name, sizeof name) == sizeof name) {
        ASSERT_OK(ig_db_read(db, has_model, name, &err));
        acknowledged++;
    }
    ig_db_close(db);
    return acknowledged;
}

static void test_kill_loses_nothing_acknowledged(void **state)
{
    int rounds = getenv("INGOT_LONG") ? 1000 : 50, acknowledged = 0;
    struct ig_temp temp = ig_temp_make();
    struct ig_rng rng;
    (void)state;
    ig_rng_seed(&rng, 20);
    for (int round = 0; round < rounds; round++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) crash_child(&temp, ends[1], round);
        close(ends[1]);
        struct pollfd first = {.fd = ends[0], .events = POLLIN};
        if (round % 2) poll(&first, 1, 20000); /* others may be killed while they open */
        usleep((useconds_t)ig_rng_below(&rng, 25000));
        kill(child, SIGKILL);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        acknowledged += check_survivors(&temp, ends[0]);
        close(ends[0]);
    }
    assert_true(acknowledged >= rounds / 2);
    ig_temp_remove(&temp);
}

static int next_driver(void **state)
{
    driver_name = *state;
    return 0;
}

#define SUITE(test, id)                                                                            \
    {                                                                                              \
#test " " #id, test, next_driver, NULL, (void *)(uintptr_t) #id                            \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
#define IG_STORE_DB(id, symbol, doc)                                                               \
    SUITE(test_writes_survive_reopening, id), SUITE(test_composed_statements, id),                 \
        SUITE(test_failed_work_leaves_nothing, id), SUITE(test_foreign_keys_conflict, id),         \
        SUITE(test_values_round_trip, id), SUITE(test_readers_cannot_write, id),                   \
        SUITE(test_second_process_is_refused, id), SUITE(test_newer_schema_is_refused, id),        \
        SUITE(test_group_commit, id),
#include "stores/stores.def"
#undef IG_STORE_DB
        cmocka_unit_test(test_log_is_checkpointed),
        cmocka_unit_test(test_nth_call_fails),
        cmocka_unit_test(test_nth_allocation_fails),
        cmocka_unit_test(test_kill_loses_nothing_acknowledged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
