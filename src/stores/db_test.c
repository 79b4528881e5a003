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
#include "stores/postgres_testing.h"
#include "stores/temp_testing.h"

#include <float.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static const char *driver_name = "sqlite";
static struct ig_postgres postgres;

static bool on_postgresql(void)
{
    return strcmp(driver_name, "postgresql") == 0;
}

static struct ig_db_options options_of(const struct ig_temp *temp)
{
    const char *url = on_postgresql() ? ig_postgres_url(&postgres, temp->path) : "sqlite";
    return (struct ig_db_options){.database = url, .dirfd = temp->fd};
}

static struct ig_db *open_db(const struct ig_temp *temp)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_db_options options = options_of(temp);
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
    assert_int_equal(stats.schema_version, 31);
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
    ASSERT_FAILS(ig_db_write(db, add_model, "a", &err), IG_EXISTS, "models");
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
    ASSERT_FAILS(ig_db_write(db, add_reasons, NULL, &err), IG_CONFLICT, "constraint");
    ig_db_close(db);
    ig_temp_remove(&temp);
}

static enum ig_code round_trip(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    (void)context;
    assert_int_equal(
        ig_db_query(&rows, tx, "select $1, $2, $3, $4, $2, $5, $6, $7, $8",
                    IG_DB_VALUES(IG_DB_I(INT64_MIN), IG_DB_F(0.1), IG_DB_N(), IG_DB_C("a\xc3\xa4"),
                                 IG_DB_B(IG_STR("a\0b\xff")), IG_DB_T(((struct ig_str){NULL, 0})),
                                 IG_DB_F(-INFINITY), IG_DB_F(-0.0)),
                    err),
        IG_OK);
    assert_true(ig_db_next(rows, err));
    assert_true(ig_db_i64(rows, 0) == INT64_MIN);
    assert_true(ig_db_f64(rows, 1) == 0.1);
    assert_true(ig_db_is_null(rows, 2));
    assert_int_equal(ig_db_i64(rows, 2), 0);
    assert_true(ig_db_f64(rows, 2) == 0);
    assert_int_equal(ig_db_text(rows, 2).len, 0);
    assert_false(ig_db_is_null(rows, 3));
    assert_true(ig_str_is(ig_db_text(rows, 3), "a\xc3\xa4"));
    assert_true(ig_db_f64(rows, 4) == 0.1);
    assert_int_equal(ig_db_i64(rows, 4), 0);
    assert_true(ig_str_eq(ig_db_text(rows, 5), IG_STR("a\0b\xff")));
    assert_false(ig_db_is_null(rows, 6));
    assert_int_equal(ig_db_text(rows, 6).len, 0);
    assert_true(ig_db_f64(rows, 7) == -(double)INFINITY);
    assert_true(ig_db_f64(rows, 8) == 0 && signbit(ig_db_f64(rows, 8)));
    assert_false(ig_db_next(rows, err));
    ig_db_finish(rows);
    return err->code;
}

/* One text with values of other kinds, a column of no value, and queries within queries. */
static enum ig_code round_trip_stored(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    static const double VALUES[] = {1.5, INFINITY, -INFINITY, DBL_MAX, 5e-324};
    static const char *const KEYS[] = {"a", "b", "c", "d", "e", "f"};
    enum { COUNT = sizeof VALUES / sizeof VALUES[0] };
    struct ig_db_rows *rows = NULL, *inner = NULL;
    (void)context;
    ig_db_exec(tx, "insert into experiments values(1, 'e', 'r', 'active', 0, 0)", NULL, 0, err);
    ig_db_exec(tx,
               "insert into runs(id, experiment, name, user_id, status, stage, start_ms,"
               " artifact_root) values('r', 1, '', '', 1, 'active', 0, '')",
               NULL, 0, err);
    for (int i = 0; i <= COUNT; i++)
        ig_db_exec(tx,
                   "insert into latest_metrics(run, key, step, at_ms, value, kind, experiment)"
                   " values('r', $1, $2, $3, $4, 0, 1)",
                   IG_DB_VALUES(IG_DB_C(KEYS[i]), IG_DB_I(i), IG_DB_I(INT64_MAX),
                                i < COUNT ? IG_DB_F(VALUES[i]) : IG_DB_N()),
                   err);
    assert_int_equal(err->code, IG_OK);
    assert_int_equal(ig_db_changes(tx), 1);
    ig_db_query(&rows, tx, "select value, at_ms, step from latest_metrics order by step", NULL, 0,
                err);
    for (int i = 0; i <= COUNT; i++) {
        assert_true(ig_db_next(rows, err));
        assert_true(ig_db_is_null(rows, 0) == (i == COUNT));
        assert_true(ig_db_f64(rows, 0) == (i < COUNT ? VALUES[i] : 0));
        ig_db_query(&inner, tx, "select count(*) from latest_metrics where step < $1",
                    IG_DB_VALUES(IG_DB_I(ig_db_i64(rows, 2))), err);
        assert_true(ig_db_next(inner, err));
        assert_int_equal(ig_db_i64(inner, 0), i);
        ig_db_finish(inner);
        assert_true(ig_db_i64(rows, 1) == INT64_MAX);
    }
    assert_false(ig_db_next(rows, err));
    ig_db_finish(rows);
    ig_db_exec(tx, "delete from latest_metrics where step > $1", IG_DB_VALUES(IG_DB_I(0)), err);
    assert_int_equal(ig_db_changes(tx), COUNT);
    return err->code;
}

static void test_values_round_trip(void **state)
{
    struct ig_temp temp = ig_temp_make();
    struct ig_err err = IG_ERR_INIT;
    (void)state;
    struct ig_db *db = open_db(&temp);
    for (int i = 0; i < 3; i++) ASSERT_OK(ig_db_read(db, round_trip, NULL, &err));
    ASSERT_OK(ig_db_write(db, round_trip_stored, NULL, &err));
    ig_db_close(db);
    ig_temp_remove(&temp);
}

/* Texts sort and compare by their bytes; LIKE knows no escape; lower() folds ASCII alone. */
static enum ig_code compare_texts(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    static const char *const ORDER[] = {"A", "Z", "_", "a", "a\\b", "\xc3\x84"};
    struct ig_db_rows *rows = NULL;
    (void)context;
    ig_db_query(&rows, tx, "select name from models where name > $1 order by name",
                IG_DB_VALUES(IG_DB_C("")), err);
    for (size_t i = 0; i < sizeof ORDER / sizeof ORDER[0]; i++) {
        assert_true(ig_db_next(rows, err));
        assert_true(ig_str_is(ig_db_text(rows, 0), ORDER[i]));
    }
    ig_db_finish(rows);
    static const struct {
        const char *like;
        int plain, folded;
    } LIKE[] = {
        {"a\\_", 1, 1}, {"a", 1, 2}, {"%\\b", 1, 1}, {"\xc3\xa4", 0, 0}, {"\xc3\x84", 1, 1}};
    for (size_t i = 0; i < sizeof LIKE / sizeof LIKE[0]; i++) {
        ig_db_query(&rows, tx,
                    "select (select count(*) from models where name like $1),"
                    " (select count(*) from models where lower(name) like lower($1))",
                    IG_DB_VALUES(IG_DB_C(LIKE[i].like)), err);
        assert_true(ig_db_next(rows, err));
        if (ig_db_i64(rows, 0) != LIKE[i].plain || ig_db_i64(rows, 1) != LIKE[i].folded)
            fail_msg("%s: %d %d", LIKE[i].like, (int)ig_db_i64(rows, 0), (int)ig_db_i64(rows, 1));
        ig_db_finish(rows);
    }
    return err->code;
}

static void test_texts_are_bytes(void **state)
{
    static char names[][8] = {"a", "A", "Z", "_", "a\\b", "\xc3\x84"};
    struct ig_temp temp = ig_temp_make();
    struct ig_err err = IG_ERR_INIT;
    (void)state;
    struct ig_db *db = open_db(&temp);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        ASSERT_OK(ig_db_write(db, add_model, names[i], &err));
    ASSERT_OK(ig_db_read(db, compare_texts, NULL, &err));
    ig_db_close(db);
    ig_temp_remove(&temp);
}

static void test_readers_cannot_write(void **state)
{
    struct ig_temp temp = ig_temp_make();
    struct ig_err err = IG_ERR_INIT;
    (void)state;
    struct ig_db *db = open_db(&temp);
    ASSERT_FAILS(ig_db_read(db, add_model, "a", &err), IG_IO, "read");
    assert_int_equal(models(db), 0);
    ig_db_close(db);
    ig_temp_remove(&temp);
}

static void test_second_process_is_refused(void **state)
{
    struct ig_temp temp = ig_temp_make();
    struct ig_err err = IG_ERR_INIT;
    struct ig_db_options options = options_of(&temp);
    struct ig_db *other = NULL;
    (void)state;
    struct ig_db *db = open_db(&temp);
    char pid[32];
    snprintf(pid, sizeof pid, "process %ld", (long)getpid());
    ASSERT_FAILS(ig_db_open(&other, &options, &err), IG_CONFLICT, pid);
    ig_db_close(db);
    db = open_db(&temp);
    ig_db_close(db);
    options.database = "oracle";
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
    struct ig_db_options options = options_of(&temp);
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

static atomic_int slow_sync_ms;

/* Before libc's: SQLite's commits take as long as a test wants. */
__attribute__((visibility("default"))) int fdatasync(int fd)
{
    int ms = atomic_load(&slow_sync_ms);
    if (ms) usleep((useconds_t)ms * 1000);
    return (int)syscall(SYS_fdatasync, fd);
}

static void *write_now_and_then(void *context)
{
    struct load *load = context;
    struct ig_err err = IG_ERR_INIT;
    char name[32];
    for (int i = 0; i < load->writes; i++) {
        snprintf(name, sizeof name, "n%d.%d", load->thread, i);
        IG_ASSERT(ig_db_write(load->db, add_model, name, &err) == IG_OK);
        usleep(load->thread % 2 ? 3000 : 1000);
    }
    return NULL;
}

/* The commits of two that write again soon after they are answered, one always sooner. */
static uint64_t commits_of_two(struct ig_db *db, int round, int writes)
{
    struct ig_db_stats before, after;
    pthread_t threads[2];
    struct load loads[2] = {{db, 2 * round, writes}, {db, 2 * round + 1, writes}};
    ig_db_stats(db, &before);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_now_and_then, &loads[i]), 0);
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    ig_db_stats(db, &after);
    return after.commits - before.commits;
}

/* Each alone would make 60; on a busy machine one may come too late to be waited for. */
static void test_commits_wait_for_company(void **state)
{
    enum { WRITES = 30, ROUNDS = 10 };
    struct ig_temp temp = ig_temp_make();
    uint64_t commits = 2 * WRITES;
    (void)state;
    struct ig_db *db = open_db(&temp);
    atomic_store(&slow_sync_ms, 10);
    for (int i = 0; i < ROUNDS && commits > WRITES + WRITES / 2; i++)
        commits = commits_of_two(db, i, WRITES);
    atomic_store(&slow_sync_ms, 0);
    assert_in_range(commits, WRITES, WRITES + WRITES / 2);
    ig_db_close(db);
    ig_temp_remove(&temp);
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

static void *read_beside(void *context)
{
    struct ig_err err = IG_ERR_INIT;
    int64_t count = -1;
    bool same = ig_db_read(context, count_models, &count, &err) == IG_OK && count == 0;
    return same ? context : NULL;
}

static enum ig_code hold_reader(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    pthread_t beside;
    void *read = NULL;
    int64_t count = -1;
    if (count_models(tx, &count, err) != IG_OK) return err->code;
    assert_int_equal(pthread_create(&beside, NULL, read_beside, context), 0);
    assert_int_equal(pthread_join(beside, &read), 0);
    assert_ptr_equal(read, context);
    return IG_OK;
}

/* Who comes while the readers are lent out for longer gets another. */
static void test_reader_beside_another(void **state)
{
    struct ig_temp temp = ig_temp_make();
    struct ig_err err = IG_ERR_INIT;
    (void)state;
    struct ig_db *db = open_db(&temp);
    ASSERT_OK(ig_db_read(db, hold_reader, db, &err)); /* by the writer's connection */
    assert_int_equal(ig_db_write(db, add_model_then_fail, "a", &err), IG_INVALID);
    ig_err_clear(&err);
    ASSERT_OK(ig_db_read(db, hold_reader, db, &err));
    assert_int_equal(models(db), 0);
    ig_db_close(db);
    ig_temp_remove(&temp);
}

struct first_write {
    struct ig_db *db;
    pthread_t thread;
    atomic_bool done;
};

static void *write_first(void *context)
{
    struct first_write *first = context;
    struct ig_err err = IG_ERR_INIT;
    bool good = ig_db_write(first->db, add_model, "a", &err) == IG_OK;
    atomic_store(&first->done, true);
    return good ? first : NULL;
}

static enum ig_code hold_first_write(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct first_write *first = context;
    int64_t count = -1;
    assert_int_equal(pthread_create(&first->thread, NULL, write_first, first), 0);
    usleep(50000);
    assert_false(atomic_load(&first->done));
    if (count_models(tx, &count, err) != IG_OK) return err->code;
    assert_int_equal(count, 0);
    return IG_OK;
}

/* The thread that opened the database reads by the writer's connection until the first write, which
 * waits for it. */
static void test_first_write_waits_for_the_opener(void **state)
{
    struct ig_temp temp = ig_temp_make();
    struct ig_err err = IG_ERR_INIT;
    void *good = NULL;
    (void)state;
    struct first_write first = {.db = open_db(&temp)};
    ASSERT_OK(ig_db_read(first.db, hold_first_write, &first, &err));
    assert_int_equal(pthread_join(first.thread, &good), 0);
    assert_ptr_equal(good, &first);
    assert_int_equal(models(first.db), 1);
    ig_db_close(first.db);
    ig_temp_remove(&temp);
}

static enum ig_code add_and_ask(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    char name[32];
    snprintf(name, sizeof name, "at %p", context);
    if (ig_db_query_once(&rows, tx, "pragma synchronous", NULL, 0, err) != IG_OK) return err->code;
    if (ig_db_next(rows, err)) *(int64_t *)context = ig_db_i64(rows, 0);
    ig_db_finish(rows);
    return add_model(tx, name, err);
}

/* Derived writes are seen at once; every other waits for the disk. */
static void test_derived_writes(void **state)
{
    enum { NORMAL = 1, FULL = 2 };
    struct ig_temp temp = ig_temp_make();
    struct ig_err err = IG_ERR_INIT;
    int64_t levels[5];
    (void)state;
    struct ig_db *db = open_db(&temp);
    for (int i = 0; i < 5; i++) {
        ASSERT_OK(i % 2 ? ig_db_write_derived(db, add_and_ask, &levels[i], &err)
                        : ig_db_write(db, add_and_ask, &levels[i], &err));
        assert_int_equal(levels[i], i % 2 ? NORMAL : FULL);
        assert_int_equal(models(db), i + 1);
    }
    ig_db_close(db);
    db = open_db(&temp);
    assert_int_equal(models(db), 5);
    ig_db_close(db);
    ig_temp_remove(&temp);
}

static void copy_file(const struct ig_temp *to, const struct ig_temp *from, const char *name)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_buf bytes;
    ig_buf_init(&bytes, 64 << 20);
    ASSERT_OK(ig_file_read(&bytes, from->fd, name, &err));
    ASSERT_OK(ig_file_replace(to->fd, name, ig_buf_view(&bytes), &err));
    ig_buf_deinit(&bytes);
}

static uint64_t size_of(const struct ig_temp *temp, const char *name)
{
    struct ig_err err = IG_ERR_INIT;
    uint64_t size_bytes = 0;
    int fd = -1;
    ASSERT_OK(ig_file_open_read(&fd, temp->fd, name, &err));
    ASSERT_OK(ig_file_size(&size_bytes, fd, &err));
    ig_file_close(&fd);
    return size_bytes;
}

/* The log's file grows in steps ahead of what is written to it, and what lies in it is found after
 * a stop that closed nothing. */
static void test_log_is_extended(void **state)
{
    struct ig_temp temp = ig_temp_make(), stopped = ig_temp_make();
    struct ig_err err = IG_ERR_INIT;
    uint64_t before, after = 0;
    int grown = 0;
    (void)state;
    struct ig_db *db = open_db(&temp);
    for (int i = 0; i < 150; i++) {
        char name[16];
        snprintf(name, sizeof name, "m%d", i);
        ASSERT_OK(ig_db_write(db, i < 130 ? add_big : add_model, name, &err));
        before = after;
        after = size_of(&temp, "ingot.db-wal");
        grown += i >= 130 && after != before;
    }
    assert_in_range(grown, 0, 2);
    assert_in_range(after, 10 << 20, 14 << 20);
    copy_file(&stopped, &temp, "ingot.db");
    copy_file(&stopped, &temp, "ingot.db-wal");
    ig_db_close(db);
    assert_int_equal(size_of(&temp, "ingot.db-wal"), 0);
    db = open_db(&stopped);
    assert_int_equal(models(db), 150);
    ASSERT_OK(ig_db_write(db, add_model, "last", &err));
    assert_int_equal(models(db), 151);
    ig_db_close(db);
    ig_temp_remove(&temp);
    ig_temp_remove(&stopped);
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
    struct ig_db_options options = options_of(temp);
    struct crash_load loads[CRASH_THREADS];
    struct ig_db *db = NULL;
    options.wal_max_bytes = 64 << 10;
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
    if (on_postgresql()) rounds /= 10; /* whose own durability is not in question */
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
    if (on_postgresql() && !postgres.pid) skip();
    return 0;
}

static int start_postgres(void **state)
{
    (void)state;
    ig_postgres_start(&postgres, IG_POSTGRES_FAST);
    return 0;
}

static int stop_postgres(void **state)
{
    (void)state;
    ig_postgres_remove(&postgres);
    return 0;
}

#define SUITE(test, id)                                                                            \
    {                                                                                              \
#test " " #id, test, next_driver, NULL, (void *)(uintptr_t) #id                            \
    }

/* ---- older schemas ---- */

/* A database as a program left it that knew no migration behind `last`. */
static void make_old(const struct ig_temp *temp, int64_t last, const char *rows)
{
    static const struct {
        int64_t number;
        const char *sql;
    } migrations[] = {
#define IG_MIGRATION(number, name, sql) {number, sql},
#include "stores/migrations.def"
#undef IG_MIGRATION
    };
    struct ig_err err = IG_ERR_INIT;
    const struct ig_db_options options = options_of(temp);
    const struct ig_db_driver *driver = NULL;
    struct ig_db_place place;
    struct ig_db_conn *conn = NULL;
    char text[128];
    ASSERT_OK(ig_db_place_init(&place, &driver, &options, &err));
    ASSERT_OK(driver->open(&conn, &place, true, &err));
    ASSERT_OK(driver->script(conn,
                             "create table ig_schema (version bigint primary key,"
                             " name text not null, applied_ms bigint not null)",
                             &err));
    for (size_t i = 0; i < sizeof migrations / sizeof migrations[0]; i++) {
        if (migrations[i].number > last) break;
        ASSERT_OK(driver->script(conn, migrations[i].sql, &err));
        snprintf(text, sizeof text, "insert into ig_schema values(%lld, '', 0)",
                 (long long)migrations[i].number);
        ASSERT_OK(driver->script(conn, text, &err));
    }
    ASSERT_OK(driver->script(conn, rows, &err));
    driver->close(conn);
    ig_db_place_deinit(&place);
}

static enum ig_code read_told(struct ig_db_tx *tx, void *context, struct ig_err *error)
{
    struct ig_db_rows *rows = NULL;
    (void)context;
    if (ig_db_query(&rows, tx, "select trace, content from assessments_told order by trace", NULL,
                    0, error) != IG_OK)
        return error->code;
    assert_true(ig_db_next(rows, error));
    assert_true(ig_str_is(ig_db_text(rows, 0), "tr-a"));
    assert_true(ig_str_is(ig_db_text(rows, 1), "[{}]"));
    assert_false(ig_db_next(rows, error));
    ig_db_finish(rows);
    return error->code;
}

/* What migration 27 takes out of the traces' rows is kept. */
static void test_assessments_of_old_traces(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_temp temp = ig_temp_make();
    make_old(&temp, 26,
             "insert into experiments(id, name, artifact_root, stage, created_ms, updated_ms)"
             " values(7, 'e', 'x', 'active', 1, 1);"
             "insert into traces(id, experiment, start_ms, status, assessments)"
             " values('tr-a', 7, 1, 1, '[{}]'), ('tr-b', 7, 1, 1, ''), ('tr-c', 7, 1, 1, '[]')");
    struct ig_db *db = open_db(&temp);
    ASSERT_OK(ig_db_read(db, read_told, NULL, &err));
    ig_db_close(db);
    ig_temp_remove(&temp);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define IG_STORE_DB(id, symbol, doc)                                                               \
    SUITE(test_writes_survive_reopening, id), SUITE(test_composed_statements, id),                 \
        SUITE(test_failed_work_leaves_nothing, id), SUITE(test_foreign_keys_conflict, id),         \
        SUITE(test_values_round_trip, id), SUITE(test_texts_are_bytes, id),                        \
        SUITE(test_readers_cannot_write, id), SUITE(test_second_process_is_refused, id),           \
        SUITE(test_newer_schema_is_refused, id), SUITE(test_group_commit, id),                     \
        SUITE(test_nth_call_fails, id), SUITE(test_reader_beside_another, id),                     \
        SUITE(test_kill_loses_nothing_acknowledged, id),                                           \
        SUITE(test_assessments_of_old_traces, id),
#include "stores/stores.def"
#undef IG_STORE_DB
        SUITE(test_log_is_checkpointed, sqlite),
        SUITE(test_log_is_extended, sqlite),
        SUITE(test_derived_writes, sqlite),
        SUITE(test_commits_wait_for_company, sqlite),
        SUITE(test_first_write_waits_for_the_opener, sqlite),
        SUITE(test_nth_allocation_fails, sqlite),
    };
    return cmocka_run_group_tests(tests, start_postgres, stop_postgres);
}
