/* SPDX-License-Identifier: Apache-2.0 */
/* Rows go to PostgreSQL and back with every value as it was; what cannot go leaves the source as it
 * is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "stores/db_move.h"
#include "stores/postgres_testing.h"

#include <float.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct ig_postgres postgres;
static struct ig_temp temp;
static struct ig_err err;

static int setup(void **state)
{
    (void)state;
    err = IG_ERR_INIT;
    temp = ig_temp_make();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ig_temp_remove(&temp);
    return 0;
}

static struct ig_db *open_db(const char *database)
{
    struct ig_db *db = NULL;
    const struct ig_db_options options = {.dirfd = temp.fd, .database = database};
    ASSERT_OK(ig_db_open(&db, &options, &err));
    return db;
}

/* Parents and children, NULLs, a blob with NULs, doubles that are hard to keep. */
static enum ig_code fill(struct ig_db_tx *tx, void *context, struct ig_err *error)
{
    const char *name = context;
    ig_db_exec(tx,
               "insert into experiments(id, name, artifact_root, stage, created_ms, updated_ms)"
               " values(7, $1, 'x', 'active', 1, -9223372036854775807)",
               IG_DB_VALUES(IG_DB_C(name)), error);
    ig_db_exec(tx,
               "insert into runs(id, experiment, name, user_id, status, stage, start_ms,"
               " artifact_root) values('r', 7, '', 'ü', 1, 'active', 5, 'a')",
               NULL, 0, error);
    return error->code;
}

static enum ig_code fill_metrics(struct ig_db_tx *tx, void *context, struct ig_err *error)
{
    static const double values[] = {0.1, -0.0, 5e-324, DBL_MAX, -DBL_MAX, 1e15, 3, 1.0 / 3};
    (void)context;
    for (int64_t i = 0; error->code == IG_OK && i < 200; i++) {
        char key[16];
        snprintf(key, sizeof key, "%c%lld", i % 2 ? 'A' : 'b', (long long)i);
        ig_db_exec(
            tx,
            "insert into latest_metrics(run, key, step, at_ms, value, kind, experiment)"
            " values('r', $1, $2, 0, $3, 0, 7)",
            IG_DB_VALUES(IG_DB_C(key), IG_DB_I(i), i % 9 ? IG_DB_F(values[i % 8]) : IG_DB_N()),
            error);
    }
    ig_db_exec(tx,
               "insert into metric_chunks(run, key, first_ms, seq, last_ms, points_count, points)"
               " values('r', 'k', 0, 0, 0, 1, $1)",
               IG_DB_VALUES(IG_DB_B(((struct ig_str){"\0\xff\0z", 4}))), error);
    return error->code;
}

static void make_source(const char *name)
{
    struct ig_db *db = open_db(NULL);
    ASSERT_OK(ig_db_write(db, fill, (void *)(uintptr_t)name, &err));
    ASSERT_OK(ig_db_write(db, fill_metrics, NULL, &err));
    ig_db_close(db);
}

struct told {
    size_t tables;
    int64_t rows;
    unsigned char sum[IG_SHA256_BYTES];
};

static void note(void *context, const struct ig_db_moved_table *table)
{
    struct told *told = context;
    unsigned char digest[IG_SHA256_BYTES];
    ig_sha256(table->digest, sizeof table->digest, digest);
    for (size_t i = 0; i < sizeof digest; i++) told->sum[i] ^= digest[i];
    told->tables++;
    told->rows += table->rows;
}

static enum ig_code move(struct told *told, const char *from, const char *to)
{
    bool kept;
    *told = (struct told){0};
    const struct ig_db_move how = {
        .dirfd = temp.fd, .from = from, .to = to, .told = note, .context = told};
    enum ig_code code = ig_db_move(&kept, &how, &err);
    assert_false(kept);
    return code;
}

static bool exists(const char *name)
{
    struct stat info;
    return fstatat(temp.fd, name, &info, 0) == 0;
}

static enum ig_code check(struct ig_db_tx *tx, void *context, struct ig_err *error)
{
    struct ig_db_rows *rows = NULL;
    (void)context;
    if (ig_db_query(&rows, tx,
                    "select e.updated_ms, m.value, c.points, r.user_id from experiments e"
                    " join runs r on r.experiment = e.id join latest_metrics m on m.run = r.id"
                    " join metric_chunks c on c.run = r.id where e.id = 7 and m.key = 'A39'",
                    NULL, 0, error) != IG_OK)
        return error->code;
    assert_true(ig_db_next(rows, error));
    assert_true(ig_db_i64(rows, 0) == -9223372036854775807);
    assert_true(ig_db_f64(rows, 1) == 1.0 / 3);
    assert_int_equal(ig_db_text(rows, 2).len, 4);
    assert_memory_equal(ig_db_text(rows, 2).ptr, "\0\xff\0z", 4);
    assert_true(ig_str_is(ig_db_text(rows, 3), "ü"));
    ig_db_finish(rows);
    return error->code;
}

static void test_there_and_back(void **state)
{
    (void)state;
    struct told there, back;
    char url[256];
    if (!postgres.pid) skip();
    snprintf(url, sizeof url, "%s", ig_postgres_url(&postgres, temp.path));
    make_source("experiment");
    ASSERT_OK(move(&there, "sqlite", url));
    assert_true(there.tables > 40);
    assert_int_equal(there.rows, 203);
    assert_true(exists("ingot.db.moved") && !exists("ingot.db") && exists("database"));
    struct ig_db *db = open_db(url);
    ASSERT_OK(ig_db_read(db, check, NULL, &err));
    ASSERT_FAILS(move(&back, url, "sqlite"), IG_CONFLICT, "in use by process");
    ig_db_close(db);
    ASSERT_OK(move(&back, url, "sqlite"));
    assert_int_equal(back.tables, there.tables);
    assert_memory_equal(back.sum, there.sum, sizeof there.sum);
    assert_true(exists("ingot.db") && !exists("database"));
    db = open_db(NULL);
    ASSERT_OK(ig_db_read(db, check, NULL, &err));
    ig_db_close(db);
    ASSERT_FAILS(move(&there, "sqlite", url), IG_CONFLICT, "has rows already (table ");
    assert_true(exists("ingot.db") && !exists("database"));
}

static enum ig_code put_nul(struct ig_db_tx *tx, void *context, struct ig_err *error)
{
    return ig_db_exec(tx, "update experiments set name = $1 where id = 7",
                      IG_DB_VALUES(IG_DB_T(*(struct ig_str *)context)), error);
}

/* What PostgreSQL cannot keep: nothing has moved, and after it is mended the same works. */
static void test_refused_in_the_middle(void **state)
{
    (void)state;
    struct told told;
    struct ig_str name = {"a\0b", 3};
    char url[256];
    if (!postgres.pid) skip();
    snprintf(url, sizeof url, "%s", ig_postgres_url(&postgres, temp.path));
    make_source("experiment");
    struct ig_db *db = open_db(NULL);
    ASSERT_OK(ig_db_write(db, put_nul, &name, &err));
    ig_db_close(db);
    ASSERT_FAILS(move(&told, "sqlite", url), IG_INVALID, "table experiments: a text with a NUL");
    assert_true(exists("ingot.db") && !exists("database"));
    db = open_db(NULL);
    name = IG_STR("ab");
    ASSERT_OK(ig_db_write(db, put_nul, &name, &err));
    ig_db_close(db);
    ASSERT_OK(move(&told, "sqlite", url));
    assert_int_equal(told.rows, 203);
}

static void test_refused(void **state)
{
    (void)state;
    struct told told;
    make_source("e");
    ASSERT_FAILS(move(&told, "sqlite", "sqlite"), IG_INVALID, "the rows are in sqlite already");
    ASSERT_FAILS(move(&told, "sqlite", "mysql://x"), IG_INVALID, "database: 'mysql");
    ASSERT_FAILS(move(&told, "postgresql://x/y", "sqlite"), IG_CONFLICT, "it has an ingot.db");
    assert_true(exists("ingot.db"));
}

/* ---- moves that are cut short ---- */

static void keep_mark(void *context, const struct ig_db_moved_table *table)
{
    struct ig_buf *mark = context;
    struct ig_err ignored = IG_ERR_INIT;
    if (table->rows) ig_file_read(mark, temp.fd, "database.moving", &ignored);
}

static void die(void *context, const struct ig_db_moved_table *table)
{
    (void)context;
    if (table->rows > 1) _exit(3);
}

static void move_and_die(const char *from, const char *to)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        bool kept;
        const struct ig_db_move how = {.dirfd = temp.fd, .from = from, .to = to, .told = die};
        ig_db_move(&kept, &how, &err);
        _exit(4);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 3);
    assert_true(exists("database.moving"));
}

/* As a kill right behind the commit leaves it: what comes after is undone. */
static void move_and_undo(const char *from, const char *to, const char *url)
{
    bool kept, there = strcmp(to, "sqlite") != 0;
    struct ig_buf mark;
    ig_buf_init(&mark, 256);
    const struct ig_db_move how = {
        .dirfd = temp.fd, .from = from, .to = to, .told = keep_mark, .context = &mark};
    ASSERT_OK(ig_db_move(&kept, &how, &err));
    assert_true(mark.len > 20 && !exists("database.moving"));
    ASSERT_OK(ig_file_replace(temp.fd, "database.moving", ig_buf_view(&mark), &err));
    if (there)
        assert_int_equal(renameat(temp.fd, "ingot.db.moved", temp.fd, "ingot.db"), 0);
    else
        ASSERT_OK(ig_file_replace(temp.fd, "database", ig_str_view(url), &err));
    ig_buf_deinit(&mark);
}

static void assert_opens(const char *database)
{
    struct ig_db *db = open_db(database);
    ASSERT_OK(ig_db_read(db, check, NULL, &err));
    ig_db_close(db);
    assert_false(exists("database.moving"));
    assert_true(database ? !exists("ingot.db") : exists("ingot.db") && !exists("database"));
}

static void assert_refused(const char *database, const char *why)
{
    struct ig_db *db = NULL;
    const struct ig_db_options options = {.dirfd = temp.fd, .database = database};
    ASSERT_FAILS(ig_db_open(&db, &options, &err), IG_CONFLICT, why);
}

static void test_cut_short(void **state)
{
    (void)state;
    struct told told;
    char url[256];
    if (!postgres.pid) skip();
    snprintf(url, sizeof url, "%s", ig_postgres_url(&postgres, temp.path));
    make_source("e");
    move_and_die("sqlite", url);
    assert_refused(url, "it has an ingot.db");
    assert_opens(NULL);
    if (!getenv("INGOT_LONG")) return;
    move_and_die("sqlite", url);
    ASSERT_OK(move(&told, "sqlite", url)); /* begins anew */
    assert_int_equal(told.rows, 203);
    move_and_die(url, "sqlite");
    assert_true(exists("ingot.db"));
    assert_refused(NULL, "its database is postgresql");
    assert_false(exists("ingot.db"));
    assert_opens(url);
    move_and_die(url, "sqlite");
    assert_opens(url);
    move_and_die(url, "sqlite");
    ASSERT_OK(move(&told, url, "sqlite"));
    assert_int_equal(told.rows, 203);
    assert_opens(NULL);
}

static void test_cut_short_behind_the_commit(void **state)
{
    (void)state;
    struct told told;
    bool kept;
    char url[256], other[256];
    if (!postgres.pid) skip();
    snprintf(url, sizeof url, "%s", ig_postgres_url(&postgres, temp.path));
    snprintf(other, sizeof other, "%sx", url);
    make_source("e");
    move_and_undo("sqlite", url, url);
    assert_refused(other, "it has an ingot.db"); /* a database that was not the target */
    assert_opens(url);
    assert_true(exists("ingot.db.moved"));
    assert_refused(NULL, "its database is postgresql");
    move_and_undo(url, "sqlite", url);
    assert_opens(NULL);
    if (!getenv("INGOT_LONG")) return;
    ASSERT_FAILS(move(&told, "sqlite", url), IG_CONFLICT, "has rows already");
    assert_opens(NULL);
    move_and_undo("sqlite", other, url);
    const struct ig_db_move again = {.dirfd = temp.fd, .from = "sqlite", .to = other};
    ASSERT_OK(ig_db_move(&kept, &again, &err));
    assert_true(kept);
    assert_opens(other);
    move_and_undo(other, "sqlite", other);
    assert_opens(other); /* the source is whole, whatever the target has */
    move_and_undo(other, "sqlite", other);
    const struct ig_db_move back = {.dirfd = temp.fd, .from = other, .to = "sqlite"};
    ASSERT_OK(ig_db_move(&kept, &back, &err));
    assert_true(kept);
    assert_opens(NULL);
}

/* Killed before the last file is removed: the directory is the target's already. */
static void test_cut_short_at_the_end(void **state)
{
    (void)state;
    struct told told;
    char url[256];
    if (!postgres.pid || !getenv("INGOT_LONG")) skip();
    snprintf(url, sizeof url, "%s", ig_postgres_url(&postgres, temp.path));
    make_source("e");
    ASSERT_OK(move(&told, "sqlite", url));
    ASSERT_OK(ig_file_replace(temp.fd, "database.moving", IG_STR("x to postgresql"), &err));
    assert_refused(NULL, "its database is postgresql");
    assert_opens(url);
    ASSERT_OK(move(&told, url, "sqlite"));
    ASSERT_OK(ig_file_replace(temp.fd, "database.moving", IG_STR("x to sqlite"), &err));
    assert_refused(url, "it has an ingot.db");
    assert_opens(NULL);
}

static int start(void **state)
{
    (void)state;
    ig_postgres_start(&postgres, IG_POSTGRES_FAST);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    ig_postgres_remove(&postgres);
    return 0;
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {CASE(test_there_and_back),
                                       CASE(test_refused_in_the_middle),
                                       CASE(test_refused),
                                       CASE(test_cut_short),
                                       CASE(test_cut_short_behind_the_commit),
                                       CASE(test_cut_short_at_the_end)};
    return cmocka_run_group_tests(tests, start, stop);
}
