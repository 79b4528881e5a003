/* SPDX-License-Identifier: Apache-2.0 */
/* What is PostgreSQL's own beside the conformance suite of db_test.c: the dialect, URLs and the
 * directory that belongs to one, what it refuses, the lock over sessions, and going on after the
 * server or a connection went away. */
#include "stores/db_postgres_priv.h"

#include "base/clock.h"
#include "base/thread.h"
#include "stores/postgres_proxy_testing.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/stat.h>

static struct ig_postgres postgres;

/* What is freed is not to count in test_long_scans. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "quarantine_size_mb=4";
}

static struct ig_db_options options_of(const struct ig_temp *temp, const struct ig_temp *schema)
{
    return (struct ig_db_options){.database = ig_postgres_url(&postgres, schema->path),
                                  .dirfd = temp->fd};
}

static struct ig_db *open_db(const struct ig_temp *temp)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_db_options options = options_of(temp, temp);
    struct ig_db *db = NULL;
    ASSERT_OK(ig_db_open(&db, &options, &err));
    return db;
}

static enum ig_code add_model(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    return ig_db_exec(tx,
                      "insert into models(name, description, created_ms, last_version)"
                      " values($1, '', 0, 0)",
                      IG_DB_VALUES(IG_DB_C(context)), err);
}

static enum ig_code count_models(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx, "select count(*) from models", NULL, 0, err) != IG_OK)
        return err->code;
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

static void expect_rendered(const char *sql, bool schema, const char *expected)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_buf out;
    ig_buf_init(&out, 4096);
    ASSERT_OK(pg_render(&out, sql, schema, &err));
    assert_string_equal(out.ptr, expected);
    ig_buf_deinit(&out);
}

static void test_dialect(void **state)
{
    (void)state;
    expect_rendered("select 'like $1', like_it from t where a like $12 and b = $2", false,
                    "select 'like $1', like_it from t where a like $12 escape '' and b = $2");
    expect_rendered("(lower(k) like lower($1) or k like ($2))", false,
                    "(lower(k) like lower($1 collate \"C\") escape '' or k like ($2) escape '')");
    expect_rendered("a like ($1) escape '\\' or b like lower($2)", false,
                    "a like ($1) escape '\\' or b like lower($2 collate \"C\") escape ''");
    expect_rendered("k like 'it''s (%'", false, "k like 'it''s (%' escape ''");
    expect_rendered("k like upper(trim('(' || $1)) limit 1", false,
                    "k like upper(trim('(' || $1)) escape '' limit 1");
    expect_rendered(
        "create table t (a text not null, context text); select cast(a as text), 'text'", true,
        "create table t (a text collate \"C\" not null, context text collate \"C\");"
        " select cast(a as text), 'text'");
    expect_rendered("create table t (a text primary key) without rowid; select 1", true,
                    "create table t (a text collate \"C\" primary key) ; select 1");
    expect_rendered("select cast($1 as text), 'open", false, "select cast($1 as text), 'open");
}

static void expect_redacted(const char *url, const char *expected)
{
    char out[64];
    ig_db_url_redact(out, sizeof out, url);
    assert_string_equal(out, expected);
}

static void test_passwords_are_not_shown(void **state)
{
    struct ig_temp temp = ig_temp_make();
    struct ig_err err = IG_ERR_INIT;
    struct ig_db *db = NULL;
    (void)state;
    expect_redacted("", "");
    expect_redacted("sqlite", "sqlite");
    expect_redacted("postgresql://u:secret@h/d?x=1", "postgresql://u:***@h/d?x=1");
    expect_redacted("postgresql://u:s@e@h", "postgresql://u:***@h");
    expect_redacted("postgresql://u@h:5432/d", "postgresql://u@h:5432/d");
    expect_redacted("postgresql:///d?password=secret&a=1&sslpassword=x",
                    "postgresql:///d?password=***&a=1&sslpassword=***");
    expect_redacted("postgresql://u:secret@averyveryveryveryverylonghost.example.com:5432/database",
                    "(too long)");
    static const char *const wrong[] = {
        "postgresql://u:secret@h:port/d",
        "postgresql://u:a@secret@127.0.0.1/d",
        "u:secret@h",
        "postgresql://u:secret@127.0.0.1:1/d",
        "postgresql://u:sec%ret@h/d",
        "mysql://u:secret@h",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct ig_db_options options = {.dirfd = temp.fd, .database = wrong[i]};
        enum ig_code code = ig_db_open(&db, &options, &err);
        if (code == IG_OK || !strstr(err.message, "database") || strstr(err.message, "sec"))
            fail_msg("%s: %s", wrong[i], err.message);
        ig_err_clear(&err);
    }
    ig_temp_remove(&temp);
}

/* The directory notes its database, and neither kind opens what is the other's. */
static void test_directory_belongs_to_one(void **state)
{
    struct ig_temp temp = ig_temp_make(), other = ig_temp_make();
    struct ig_err err = IG_ERR_INIT;
    struct ig_db_options plain = {.dirfd = temp.fd}, url = options_of(&other, &temp);
    struct ig_db *db = open_db(&temp);
    (void)state;
    ig_db_close(db);
    ASSERT_FAILS(ig_db_open(&db, &plain, &err), IG_CONFLICT, "INGOT_DATABASE");
    ASSERT_FAILS(ig_db_open(&db, &plain, &err), IG_CONFLICT, "postgresql:///postgres?host=");
    plain.dirfd = other.fd;
    ASSERT_OK(ig_db_open(&db, &plain, &err));
    ig_db_close(db);
    ASSERT_FAILS(ig_db_open(&db, &url, &err), IG_CONFLICT, "ingot.db");
    ig_temp_remove(&temp);
    ig_temp_remove(&other);
}

/* By the advisory lock: the directories are two. */
static void test_second_server_is_refused(void **state)
{
    struct ig_temp temp = ig_temp_make(), other = ig_temp_make();
    struct ig_err err = IG_ERR_INIT;
    struct ig_db *db = open_db(&temp), *second = NULL;
    struct ig_db_options options = options_of(&other, &temp);
    char holder[32];
    (void)state;
    snprintf(holder, sizeof holder, "ingot process %ld on ", (long)getpid());
    ASSERT_FAILS(ig_db_open(&second, &options, &err), IG_CONFLICT, holder);
    ig_db_close(db);
    ASSERT_OK(ig_db_open(&second, &options, &err));
    ig_db_close(second);
    options = options_of(&other, &other);
    ASSERT_OK(ig_db_open(&second, &options, &err)); /* another schema is another database */
    ig_db_close(second);
    ig_temp_remove(&temp);
    ig_temp_remove(&other);
}

static enum ig_code add_nul(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    (void)context;
    return ig_db_exec(tx, "update models set description = $1",
                      IG_DB_VALUES(IG_DB_T(IG_STR("a\0b"))), err);
}

static enum ig_code add_invalid(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    (void)context;
    return ig_db_exec(tx, "update models set description = $1",
                      IG_DB_VALUES(IG_DB_T(IG_STR("a\xff"))), err);
}

static enum ig_code add_long(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    char name[20001] = "";
    struct ig_rng rng;
    ig_rng_seed(&rng, 1);
    for (size_t i = 0; i < sizeof name - 1; i++) name[i] = (char)('0' + ig_rng_below(&rng, 64));
    (void)context;
    return add_model(tx, name, err);
}

static enum ig_code read_nan(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    (void)context;
    if (ig_db_query(&rows, tx, "select $1, 1.5", IG_DB_VALUES(IG_DB_F((double)NAN)), err) == IG_OK)
        ig_db_finish(rows);
    if (err->code != IG_INTERNAL || !strstr(err->message, "column 1")) return err->code;
    ig_err_clear(err);
    return ig_fail(err, IG_INTERNAL, "a column that cannot be read was refused");
}

static enum ig_code read_only_nan(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx, "select $1", IG_DB_VALUES(IG_DB_F((double)NAN)), err) != IG_OK)
        return err->code;
    *(bool *)context = ig_db_next(rows, err) && isnan(ig_db_f64(rows, 0)) &&
                       !ig_db_is_null(rows, 0) && ig_db_i64(rows, 0) == 0;
    ig_db_finish(rows);
    return err->code;
}

/* A refused value spoils neither the batch nor the connection. */
static void test_values(void **state)
{
    struct ig_temp temp = ig_temp_make();
    struct ig_err err = IG_ERR_INIT;
    struct ig_db *db = open_db(&temp);
    bool is_nan = false;
    (void)state;
    ASSERT_OK(ig_db_write(db, add_model, "m", &err));
    ASSERT_FAILS(ig_db_write(db, add_nul, NULL, &err), IG_INVALID, "NUL");
    ASSERT_FAILS(ig_db_write(db, add_invalid, NULL, &err), IG_INVALID, "encoding");
    ASSERT_FAILS(ig_db_write(db, add_long, NULL, &err), IG_TOO_LARGE, "index row");
    ASSERT_FAILS(ig_db_read(db, read_nan, NULL, &err), IG_INTERNAL, "was refused");
    ASSERT_OK(ig_db_read(db, read_only_nan, &is_nan, &err));
    assert_true(is_nan);
    ASSERT_OK(ig_db_write(db, add_model, "n", &err));
    assert_int_equal(models(db), 2);
    ig_db_close(db);
    ig_temp_remove(&temp);
}

static enum ig_code scan_long(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL, *inner = NULL, *innermost = NULL;
    int64_t *sum = context;
    ig_db_query(&rows, tx, "select n, repeat('x', 1000) from generate_series(1, 300000) n", NULL, 0,
                err);
    for (int i = 0; i < 100000 && ig_db_next(rows, err); i++) *sum += ig_db_i64(rows, 0);
    ig_db_finish(rows); /* leaves most of it */
    ig_db_query(&rows, tx, "select n from generate_series(1, 1000) n", NULL, 0, err);
    while (ig_db_next(rows, err)) {
        if (ig_db_i64(rows, 0) != 500) continue;
        ig_db_query(&inner, tx, "select n from generate_series(1, 10) n", NULL, 0, err);
        while (ig_db_next(inner, err)) {
            ig_db_query(&innermost, tx, "select 7", NULL, 0, err);
            if (ig_db_next(innermost, err)) *sum += ig_db_i64(innermost, 0);
            ig_db_finish(innermost);
        }
        ig_db_finish(inner);
    }
    if (err->code == IG_OK) *sum += ig_db_next(rows, err);
    ig_db_finish(rows);
    return err->code;
}

static long peak_kilobytes(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

/* A third of a gigabyte passes through little memory. */
static void test_long_scans(void **state)
{
    struct ig_temp temp = ig_temp_make();
    struct ig_err err = IG_ERR_INIT;
    struct ig_db *db = open_db(&temp);
    int64_t sum = 0;
    (void)state;
    long before = peak_kilobytes();
    ASSERT_OK(ig_db_read(db, scan_long, &sum, &err));
    assert_true(sum == INT64_C(100000) * 100001 / 2 + 70);
    assert_true(peak_kilobytes() - before < 64 << 10);
    ig_db_close(db);
    ig_temp_remove(&temp);
}

/* The rows behind the first go on arriving over a connection that is about to end. */
static enum ig_code scan_and_lose(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    (void)context;
    if (ig_db_query(&rows, tx,
                    "select case when n = 50000 then pg_terminate_backend(pg_backend_pid())"
                    " else true end, repeat('x', 100) from generate_series(1, 100000) n",
                    NULL, 0, err) != IG_OK)
        return err->code;
    while (ig_db_next(rows, err))
        ;
    ig_db_finish(rows);
    return err->code;
}

/* ---- connections that go away ---- */

static enum ig_code end_sessions(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    (void)context;
    ig_db_query(&rows, tx,
                "select count(pg_terminate_backend(pid)) from pg_stat_activity"
                " where pid <> pg_backend_pid() and backend_type = 'client backend'",
                NULL, 0, err);
    ig_db_finish(rows);
    return err->code;
}

/* The first answer was given out: this cannot be made again. */
static enum ig_code read_then_lose(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct ig_err ignored = IG_ERR_INIT;
    struct ig_db_rows *rows = NULL;
    int64_t count;
    if (count_models(tx, &count, err) != IG_OK) return err->code;
    ++*(int *)context;
    ig_db_query(&rows, tx, "select pg_terminate_backend(pg_backend_pid())", NULL, 0, &ignored);
    ig_db_finish(rows);
    return count_models(tx, &count, err);
}

static enum ig_code write_then_lose(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct ig_err ignored = IG_ERR_INIT;
    struct ig_db_rows *rows = NULL;
    if (add_model(tx, context, err) != IG_OK) return err->code;
    ig_db_query(&rows, tx, "select pg_terminate_backend(pg_backend_pid())", NULL, 0, &ignored);
    ig_db_finish(rows);
    return add_model(tx, "after", err);
}

static void test_lost_sessions(void **state)
{
    struct ig_temp temp = ig_temp_make(), killer = ig_temp_make();
    struct ig_err err = IG_ERR_INIT;
    struct ig_db *db = open_db(&temp), *other = open_db(&killer);
    int runs = 0;
    (void)state;
    ASSERT_OK(ig_db_write(db, add_model, "a", &err));
    ASSERT_OK(ig_db_write(other, end_sessions, NULL, &err));
    assert_int_equal(models(db), 1); /* all were idle: nobody notices */
    ASSERT_OK(ig_db_write(db, add_model, "b", &err));
    ASSERT_FAILS(ig_db_read(db, read_then_lose, &runs, &err), IG_UNAVAILABLE, "lost");
    assert_int_equal(runs, 1);
    ASSERT_FAILS(ig_db_read(db, scan_and_lose, NULL, &err), IG_UNAVAILABLE, "lost");
    ASSERT_FAILS(ig_db_write(db, write_then_lose, "c", &err), IG_UNAVAILABLE, "nothing");
    assert_int_equal(models(db), 2);
    ASSERT_OK(ig_db_write(db, add_model, "c", &err));
    assert_int_equal(models(db), 3);
    ig_db_close(other);
    ig_db_close(db);
    ig_temp_remove(&temp);
    ig_temp_remove(&killer);
}

/* The connection is lost around a write or its commit: what is said then is what is there. */
static void test_lost_commits(void **state)
{
    struct ig_temp temp = ig_temp_make();
    struct ig_err err = IG_ERR_INIT;
    struct ig_db_options options = {.dirfd = temp.fd};
    struct ig_db_stats stats;
    struct ig_proxy proxy;
    struct ig_db *db = NULL;
    char database[160];
    (void)state;
    ig_proxy_start(&proxy, &postgres);
    snprintf(database, sizeof database, "postgresql:///postgres?host=%s&user=ingot", proxy.dir);
    options.database = ig_db_testing_url(database, temp.path);
    ASSERT_OK(ig_db_open(&db, &options, &err));
    for (int i = 0; i < 3; i++) {
        char kept[16], lost[16];
        snprintf(kept, sizeof kept, "kept%d", i);
        snprintf(lost, sizeof lost, "lost%d", i);
        atomic_store(&proxy.mode, IG_PROXY_LOSE_ANSWER);
        ASSERT_OK(ig_db_write(db, add_model, kept, &err));
        assert_int_equal(models(db), 2 * i + 1);
        atomic_store(&proxy.mode, IG_PROXY_LOSE_COMMIT);
        ASSERT_FAILS(ig_db_write(db, add_model, lost, &err), IG_UNAVAILABLE, "nothing of this");
        assert_int_equal(models(db), 2 * i + 1);
        atomic_store(&proxy.mode, IG_PROXY_LOSE_READY);
        ASSERT_FAILS(ig_db_write(db, add_model, lost, &err), IG_UNAVAILABLE, "nothing of this");
        assert_int_equal(models(db), 2 * i + 1);
        ASSERT_OK(ig_db_write(db, add_model, lost, &err));
    }
    assert_int_equal(models(db), 6);
    ig_db_stats(db, &stats);
    assert_int_equal(stats.writes, 6);
    ig_db_close(db);
    ig_proxy_stop(&proxy);
    ig_temp_remove(&temp);
}

/* A server whose lock went to another ends by itself, idle or not. */
static void test_taken_over(void **state)
{
    struct ig_temp temp = ig_temp_make(), other = ig_temp_make(), killer = ig_temp_make();
    struct ig_err err = IG_ERR_INIT;
    struct ig_db_options options = options_of(&other, &temp);
    struct ig_db *db = NULL, *ender = NULL;
    int ends[2], status = 0;
    char ready;
    (void)state;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        close(STDERR_FILENO);
        db = open_db(&temp);
        if (write(ends[1], "r", 1) != 1) _exit(1);
        sleep(60);
        _exit(2);
    }
    assert_int_equal(read(ends[0], &ready, 1), 1);
    kill(child, SIGSTOP);
    ender = open_db(&killer);
    ASSERT_OK(ig_db_write(ender, end_sessions, NULL, &err));
    options = options_of(&other, &temp);
    ASSERT_OK(ig_db_open(&db, &options, &err));
    ig_db_close(db); /* even when that one is gone again */
    kill(child, SIGCONT);
    uint64_t start = ig_clock_ns();
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_true(ig_clock_ns() - start < UINT64_C(20000000000));
    ig_db_close(ender);
    close(ends[0]);
    close(ends[1]);
    ig_temp_remove(&temp);
    ig_temp_remove(&other);
    ig_temp_remove(&killer);
}

/* ---- the server restarts under load ---- */

enum { WRITERS = 4, READERS = 2, ROWS_MAX = 1 << 16 };

struct load {
    struct ig_db *db;
    int thread;
    atomic_bool *stop;
    unsigned tried, acknowledged, refused, unknown;
    unsigned char *kept; /* [ROWS_MAX]: 1 acknowledged, 2 not known */
};

/* A number that was refused is tried again; one that is not known about is left. */
static void *write_load(void *context)
{
    struct load *load = context;
    char name[32];
    for (unsigned i = 0; i < ROWS_MAX && !atomic_load(load->stop); i++) {
        struct ig_err err = IG_ERR_INIT;
        snprintf(name, sizeof name, "%d.%u", load->thread, i);
        enum ig_code code = ig_db_write(load->db, add_model, name, &err);
        if (code != IG_OK && code != IG_UNAVAILABLE) fprintf(stderr, "%s\n", err.message);
        IG_ASSERT(code == IG_OK || code == IG_UNAVAILABLE);
        load->tried = i + 1;
        if (code == IG_OK) {
            load->kept[i] = 1;
            load->acknowledged++;
        } else if (strstr(err.message, "not known")) {
            load->kept[i] = 2;
            load->unknown++;
        } else {
            load->refused++;
            i--;
        }
    }
    return NULL;
}

static void *read_load(void *context)
{
    struct load *load = context;
    int64_t before = 0, now = 0;
    while (!atomic_load(load->stop)) {
        struct ig_err err = IG_ERR_INIT;
        enum ig_code code = ig_db_read(load->db, count_models, &now, &err);
        IG_ASSERT(code == IG_OK || code == IG_UNAVAILABLE);
        if (code == IG_OK) {
            IG_ASSERT(now >= before); /* nothing that was seen went away */
            before = now;
            load->acknowledged++;
        } else {
            load->refused++;
        }
    }
    return NULL;
}

static enum ig_code compare_rows(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct load *loads = context;
    for (int thread = 0; thread < WRITERS; thread++) {
        for (unsigned i = 0; i < loads[thread].tried; i++) {
            struct ig_db_rows *rows = NULL;
            char name[32];
            snprintf(name, sizeof name, "%d.%u", thread, i);
            if (ig_db_query(&rows, tx, "select count(*) from models where name = $1",
                            IG_DB_VALUES(IG_DB_C(name)), err) != IG_OK)
                return err->code;
            bool there = ig_db_next(rows, err) && ig_db_i64(rows, 0) == 1;
            ig_db_finish(rows);
            if (loads[thread].kept[i] == 1 && !there)
                return ig_fail(err, IG_CORRUPT, "%s was acknowledged and is lost", name);
        }
    }
    return IG_OK;
}

static void restart(int round)
{
    /* By an operator, by a crash of the server, by a crash of one session. */
    static const int signals[] = {SIGINT, SIGQUIT, SIGKILL};
    usleep(150000);
    ig_postgres_stop(&postgres, signals[round % 3]);
    usleep(round % 2 ? 400000 : 0);
    ig_postgres_run(&postgres);
    usleep(150000);
}

static void test_restarts_under_load(void **state)
{
    int rounds = getenv("INGOT_LONG") ? 30 : 3;
    struct ig_temp temp = ig_temp_make();
    struct ig_err err = IG_ERR_INIT;
    struct load loads[WRITERS + READERS];
    uint64_t threads[WRITERS + READERS];
    atomic_bool stop = false;
    int64_t acknowledged = 0, unknown = 0;
    (void)state;
    struct ig_db *db = open_db(&temp);
    for (int i = 0; i < WRITERS + READERS; i++) {
        loads[i] = (struct load){.db = db, .thread = i, .stop = &stop};
        if (i < WRITERS) assert_non_null(loads[i].kept = calloc(ROWS_MAX, 1));
        ASSERT_OK(ig_thread_start(&threads[i], "load", i < WRITERS ? write_load : read_load,
                                  &loads[i], &err));
    }
    for (int round = 0; round < rounds; round++) restart(round);
    atomic_store(&stop, true);
    for (int i = 0; i < WRITERS + READERS; i++) ig_thread_join(threads[i]);
    ASSERT_OK(ig_db_read(db, compare_rows, loads, &err));
    for (int i = 0; i < WRITERS; i++) {
        acknowledged += loads[i].acknowledged;
        unknown += loads[i].unknown;
        assert_true(loads[i].acknowledged > 0);
    }
    assert_int_equal(unknown, 0); /* the server came back in time each time */
    assert_int_equal(models(db), acknowledged);
    for (int i = WRITERS; i < WRITERS + READERS; i++) assert_true(loads[i].acknowledged > 0);
    ig_db_close(db);
    for (int i = 0; i < WRITERS; i++) free(loads[i].kept);
    ig_temp_remove(&temp);
}

static int setup(void **state)
{
    (void)state;
    ig_postgres_start(&postgres, getenv("INGOT_LONG") ? IG_POSTGRES_DURABLE : IG_POSTGRES_FAST);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ig_postgres_remove(&postgres);
    return 0;
}

static int needs_postgres(void **state)
{
    (void)state;
    if (!postgres.pid) skip();
    return 0;
}

#define WITH_POSTGRES(test) cmocka_unit_test_setup(test, needs_postgres)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dialect),
        cmocka_unit_test(test_passwords_are_not_shown),
        WITH_POSTGRES(test_directory_belongs_to_one),
        WITH_POSTGRES(test_second_server_is_refused),
        WITH_POSTGRES(test_values),
        WITH_POSTGRES(test_long_scans),
        WITH_POSTGRES(test_lost_sessions),
        WITH_POSTGRES(test_lost_commits),
        WITH_POSTGRES(test_taken_over),
        WITH_POSTGRES(test_restarts_under_load),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
