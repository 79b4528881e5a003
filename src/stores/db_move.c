/* SPDX-License-Identifier: Apache-2.0 */
/* What tables and columns there are is SQLite's catalog's to say, on whichever side it is: the
 * migrations make the same of both. Tables go in an order in which no row comes before one that it
 * refers to.
 *
 * Thread rule: as its caller's. */
#include "stores/db_move.h"

#include "base/file.h"
#include "base/mem.h"
#include "stores/db_priv.h"

#include <string.h>
#include <unistd.h>

enum {
    TABLES_MAX = 256,
    COLUMNS_MAX = 64,
    BATCH_ROWS = 64,
    BATCH_BYTES = 1 << 20,
    SQL_MAX = 64 << 10,
    ROW_MAX = 512 << 20
};

struct side {
    const struct ig_db_driver *driver;
    struct ig_db_place place;
    struct ig_db_conn *conn;
};

struct column {
    struct ig_str name, type; /* "bigint" */
    int kind;                 /* of struct ig_db_value */
};

struct table {
    struct ig_str name;
    struct column columns[COLUMNS_MAX];
    size_t columns_count;
    struct ig_str key[COLUMNS_MAX]; /* of the primary key, in its order; without one all */
    size_t key_count;
    bool done;
};

struct moving {
    const struct ig_db_move *move;
    struct side from, to;
    char id[IG_ID_SIZE];
    bool begun;            /* the directory says so; the target may have been touched */
    bool unknown;          /* whether the target's commit was kept */
    struct ig_arena arena; /* the catalog */
    struct table *tables;
    size_t tables_count;
    struct ig_buf sql;
};

/* ---- the catalog ---- */

static struct side *sqlite_side(struct moving *moving)
{
    return moving->from.driver == &ig_db_sqlite ? &moving->from : &moving->to;
}

static struct ig_str text_of(struct moving *moving, struct ig_db_rows *rows, int column)
{
    return ig_arena_dup(&moving->arena, rows->driver->column_text(rows, column));
}

static enum ig_code read_tables(struct moving *moving, struct ig_err *err)
{
    const struct side *side = sqlite_side(moving);
    struct ig_db_rows *rows = NULL;
    moving->tables = ig_arena_zalloc(&moving->arena, TABLES_MAX * sizeof *moving->tables);
    if (!moving->tables) return ig_fail(err, IG_NO_MEMORY, "list of tables");
    if (side->driver->query_once(&rows, side->conn,
                                 "select name from sqlite_schema where type = 'table'"
                                 " and name not like 'sqlite%' and name <> 'ig_schema'"
                                 " and name <> 'ig_moved'"
                                 " order by name",
                                 NULL, 0, err) != IG_OK)
        return err->code;
    while (err->code == IG_OK && side->driver->next(rows, err)) {
        IG_ASSERT(moving->tables_count < TABLES_MAX);
        moving->tables[moving->tables_count++].name = text_of(moving, rows, 0);
    }
    side->driver->finish(rows);
    return err->code;
}

static int kind_of(struct ig_str type)
{
    if (ig_str_is(type, "bigint")) return IG_DB_I64;
    if (ig_str_is(type, "double precision")) return IG_DB_F64;
    IG_ASSERT(ig_str_is(type, "text") || ig_str_is(type, "bytea"));
    return ig_str_is(type, "text") ? IG_DB_TEXT : IG_DB_BYTES;
}

static enum ig_code read_columns(struct moving *moving, struct table *table, struct ig_err *err)
{
    const struct side *side = sqlite_side(moving);
    struct ig_db_rows *rows = NULL;
    if (side->driver->query_once(&rows, side->conn,
                                 "select name, lower(type), pk from pragma_table_info($1)",
                                 IG_DB_VALUES(IG_DB_T(table->name)), err) != IG_OK)
        return err->code;
    while (err->code == IG_OK && side->driver->next(rows, err)) {
        struct column *column = &table->columns[table->columns_count++];
        IG_ASSERT(table->columns_count < COLUMNS_MAX);
        column->name = text_of(moving, rows, 0);
        column->type = text_of(moving, rows, 1);
        column->kind = kind_of(column->type);
        int64_t place = side->driver->column_i64(rows, 2);
        IG_ASSERT(place >= 0 && place < COLUMNS_MAX);
        if (place) table->key[place - 1] = column->name;
        table->key_count += place > 0;
    }
    side->driver->finish(rows);
    for (size_t i = 0; !table->key_count && i < table->columns_count; i++)
        table->key[i] = table->columns[i].name;
    if (!table->key_count) table->key_count = table->columns_count;
    return err->code;
}

static bool is_done(const struct moving *moving, struct ig_str name)
{
    for (size_t i = 0; i < moving->tables_count; i++)
        if (ig_str_eq(moving->tables[i].name, name)) return moving->tables[i].done;
    return false;
}

/* Whether all that it refers to has been copied. */
static enum ig_code is_due(bool *due, const struct moving *moving, const struct table *table,
                           struct ig_err *err)
{
    const struct side *side = sqlite_side((struct moving *)(uintptr_t)moving);
    struct ig_db_rows *rows = NULL;
    *due = !table->done;
    if (side->driver->query_once(&rows, side->conn,
                                 "select \"table\" from pragma_foreign_key_list($1)",
                                 IG_DB_VALUES(IG_DB_T(table->name)), err) != IG_OK)
        return err->code;
    while (*due && side->driver->next(rows, err))
        *due = is_done(moving, side->driver->column_text(rows, 0));
    side->driver->finish(rows);
    return err->code;
}

/* ---- rows ---- */

static void add_names(struct ig_buf *sql, const struct table *table)
{
    for (size_t i = 0; i < table->columns_count; i++) {
        if (i) ig_buf_add_cstr(sql, ", ");
        ig_buf_add_str(sql, table->columns[i].name);
    }
}

static enum ig_code query_rows(struct ig_db_rows **rows, struct moving *moving,
                               const struct side *side, const struct table *table,
                               struct ig_err *err)
{
    struct ig_buf *sql = &moving->sql;
    ig_buf_reset(sql);
    ig_buf_add_cstr(sql, "select ");
    add_names(sql, table);
    ig_buf_printf(sql, " from %.*s order by ", IG_STR_ARGS(table->name));
    for (size_t i = 0; i < table->key_count; i++)
        ig_buf_printf(sql, "%s%.*s", i ? ", " : "", IG_STR_ARGS(table->key[i]));
    if (sql->overflowed) return ig_fail(err, IG_NO_MEMORY, "statement");
    return side->driver->query_once(rows, side->conn, sql->ptr, NULL, 0, err);
}

static struct ig_db_value read_value(struct ig_db_rows *rows, int column, int kind)
{
    const struct ig_db_driver *driver = rows->driver;
    struct ig_db_value value = IG_DB_N();
    if (driver->column_is_null(rows, column)) return value;
    if (kind == IG_DB_I64) return IG_DB_I(driver->column_i64(rows, column));
    if (kind == IG_DB_F64) return IG_DB_F(driver->column_f64(rows, column) + 0.0); /* no -0 */
    value = IG_DB_T(driver->column_text(rows, column));
    if (kind == IG_DB_BYTES) value = IG_DB_B(value.text);
    return value;
}

static void hash_value(struct ig_sha256 *hash, const struct ig_db_value *value)
{
    uint64_t head[2] = {(uint64_t)value->kind, 0};
    if (value->kind == IG_DB_I64) head[1] = (uint64_t)value->integer;
    if (value->kind == IG_DB_F64) memcpy(&head[1], &value->real, sizeof head[1]);
    if (value->kind == IG_DB_TEXT || value->kind == IG_DB_BYTES) head[1] = value->text.len;
    ig_sha256_update(hash, head, sizeof head);
    if (value->kind == IG_DB_TEXT || value->kind == IG_DB_BYTES)
        ig_sha256_update(hash, value->text.ptr, value->text.len);
}

static enum ig_code run(const struct side *side, const char *sql, const struct ig_db_value *values,
                        size_t count, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    if (side->driver->query_once(&rows, side->conn, sql, values, count, err) != IG_OK)
        return err->code;
    while (side->driver->next(rows, err))
        ;
    side->driver->finish(rows);
    return err->code;
}

struct batch {
    struct ig_arena arena; /* texts */
    struct ig_db_value values[BATCH_ROWS * COLUMNS_MAX];
    size_t rows;
    size_t bytes;
};

/* Each value by its type, since PostgreSQL knows none of a column of NULLs; SQLite takes bytea for
 * a number. */
static enum ig_code flush(struct moving *moving, struct batch *batch, const struct table *table,
                          struct ig_err *err)
{
    struct ig_buf *sql = &moving->sql;
    size_t count = table->columns_count;
    if (!batch->rows) return IG_OK;
    ig_buf_reset(sql);
    ig_buf_printf(sql, "insert into %.*s(", IG_STR_ARGS(table->name));
    add_names(sql, table);
    ig_buf_add_cstr(sql, ") values ");
    for (size_t i = 0; i < batch->rows * count; i++) {
        const struct column *column = &table->columns[i % count];
        ig_buf_add_cstr(sql, i % count ? ", " : i ? "), (" : "(");
        if (column->kind == IG_DB_BYTES)
            ig_buf_printf(sql, "$%zu", i + 1);
        else
            ig_buf_printf(sql, "cast($%zu as %.*s)", i + 1, IG_STR_ARGS(column->type));
    }
    ig_buf_add_char(sql, ')');
    if (sql->overflowed) return ig_fail(err, IG_NO_MEMORY, "statement");
    run(&moving->to, sql->ptr, batch->values, batch->rows * count, err);
    batch->rows = batch->bytes = 0;
    ig_arena_reset(&batch->arena);
    return err->code;
}

static enum ig_code take_row(struct batch *batch, struct ig_sha256 *hash, struct ig_db_rows *rows,
                             const struct table *table, struct ig_err *err)
{
    struct ig_db_value *row = &batch->values[batch->rows * table->columns_count];
    for (size_t i = 0; i < table->columns_count; i++) {
        row[i] = read_value(rows, (int)i, table->columns[i].kind);
        hash_value(hash, &row[i]);
        if (row[i].kind != IG_DB_TEXT && row[i].kind != IG_DB_BYTES) continue;
        batch->bytes += row[i].text.len;
        row[i].text = ig_arena_dup(&batch->arena, row[i].text);
    }
    if (batch->arena.overflowed) return ig_fail(err, IG_NO_MEMORY, "a row");
    batch->rows++;
    return IG_OK;
}

static enum ig_code copy_rows(struct ig_db_moved_table *out, struct moving *moving,
                              const struct table *table, struct ig_sha256 *hash, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    struct batch *batch = ig_zalloc(sizeof *batch);
    if (!batch) return ig_fail(err, IG_NO_MEMORY, "rows");
    ig_arena_init(&batch->arena, BATCH_BYTES, ROW_MAX);
    query_rows(&rows, moving, &moving->from, table, err);
    while (err->code == IG_OK && moving->from.driver->next(rows, err)) {
        out->rows++;
        if (take_row(batch, hash, rows, table, err) == IG_OK &&
            (batch->rows == BATCH_ROWS || batch->bytes >= BATCH_BYTES))
            flush(moving, batch, table, err);
    }
    if (err->code == IG_OK) flush(moving, batch, table, err);
    if (rows) moving->from.driver->finish(rows);
    ig_arena_deinit(&batch->arena);
    ig_free(batch);
    return err->code;
}

static enum ig_code hash_rows(int64_t *count, struct moving *moving, const struct table *table,
                              struct ig_sha256 *hash, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    query_rows(&rows, moving, &moving->to, table, err);
    for (; err->code == IG_OK && moving->to.driver->next(rows, err); ++*count)
        for (size_t i = 0; i < table->columns_count; i++) {
            const struct ig_db_value value = read_value(rows, (int)i, table->columns[i].kind);
            hash_value(hash, &value);
        }
    if (rows) moving->to.driver->finish(rows);
    return err->code;
}

static enum ig_code compare(const struct ig_db_moved_table *told, int64_t rows, const char *digest,
                            struct ig_err *err)
{
    if (told->rows == rows && strcmp(told->digest, digest) == 0) return IG_OK;
    return ig_fail(err, IG_INTERNAL,
                   "read back there are %lld rows of digest %.12s, %lld of digest %.12s were read",
                   (long long)rows, digest, (long long)told->rows, told->digest);
}

static enum ig_code copy_table(struct moving *moving, struct table *table, struct ig_err *err)
{
    unsigned char digest[IG_SHA256_BYTES];
    char again[IG_SHA256_HEX];
    int64_t rows = 0;
    struct ig_db_moved_table told = {.name = table->name};
    struct ig_sha256 *read = ig_sha256_new(), *written = ig_sha256_new();
    if (!read || !written) ig_fail(err, IG_NO_MEMORY, "digest");
    if (err->code == IG_OK && copy_rows(&told, moving, table, read, err) == IG_OK &&
        hash_rows(&rows, moving, table, written, err) == IG_OK) {
        ig_sha256_final(read, digest);
        ig_hex(told.digest, digest, sizeof digest);
        ig_sha256_final(written, digest);
        ig_hex(again, digest, sizeof digest);
        compare(&told, rows, again, err);
    }
    ig_sha256_free(read);
    ig_sha256_free(written);
    if (err->code != IG_OK) {
        ig_err_prefix(err, "table %.*s", IG_STR_ARGS(table->name));
        return err->code;
    }
    table->done = true;
    if (moving->move->told) moving->move->told(moving->move->context, &told);
    return IG_OK;
}

/* ---- the whole ---- */

static enum ig_code check_empty(struct moving *moving, struct ig_err *err)
{
    const struct side *to = &moving->to;
    for (size_t i = 0; err->code == IG_OK && i < moving->tables_count; i++) {
        struct ig_str name = moving->tables[i].name;
        struct ig_db_rows *rows = NULL;
        ig_buf_reset(&moving->sql);
        ig_buf_printf(&moving->sql, "select 1 from %.*s limit 1", IG_STR_ARGS(name));
        if (to->driver->query_once(&rows, to->conn, moving->sql.ptr, NULL, 0, err) != IG_OK) break;
        if (to->driver->next(rows, err))
            ig_fail(err, IG_CONFLICT, "the database to move to has rows already (table %.*s)",
                    IG_STR_ARGS(name));
        to->driver->finish(rows);
    }
    return err->code;
}

static enum ig_code copy_tables(struct moving *moving, struct ig_err *err)
{
    for (size_t copied = 0, before; copied < moving->tables_count;) {
        before = copied;
        for (size_t i = 0; i < moving->tables_count; i++) {
            bool due;
            if (is_due(&due, moving, &moving->tables[i], err) != IG_OK) return err->code;
            if (!due) continue;
            if (copy_table(moving, &moving->tables[i], err) != IG_OK) return err->code;
            copied++;
        }
        IG_ASSERT(copied > before); /* tables do not refer to each other in a ring */
    }
    return IG_OK;
}

static enum ig_code move_all(struct moving *moving, struct ig_err *err)
{
    struct ig_err ignored = IG_ERR_INIT;
    const struct side *from = &moving->from, *to = &moving->to;
    if (read_tables(moving, err) != IG_OK) return err->code;
    for (size_t i = 0; i < moving->tables_count; i++)
        if (read_columns(moving, &moving->tables[i], err) != IG_OK) return err->code;
    if (moving->arena.overflowed) return ig_fail(err, IG_NO_MEMORY, "list of tables");
    if (check_empty(moving, err) != IG_OK || from->driver->begin(from->conn, err) != IG_OK ||
        to->driver->begin(to->conn, err) != IG_OK)
        return err->code;
    if (copy_tables(moving, err) == IG_OK &&
        ig_db_place_mark(to->driver, to->conn, moving->id, err) == IG_OK)
        moving->unknown = to->driver->commit(to->conn, err) != IG_OK;
    if (to->driver->in_transaction(to->conn)) to->driver->script(to->conn, "rollback", &ignored);
    from->driver->script(from->conn, "rollback", &ignored);
    return err->code;
}

static enum ig_code open_side(struct side *side, struct ig_err *err)
{
    int64_t version;
    if (side->driver->open(&side->conn, &side->place, true, err) != IG_OK) return err->code;
    return ig_db_migrate(&version, side->driver, side->conn, err);
}

static void close_side(struct side *side)
{
    struct ig_err ignored = IG_ERR_INIT;
    if (side->conn) {
        side->driver->checkpoint(side->conn, true, &ignored);
        side->driver->close(side->conn);
    }
    side->conn = NULL;
}

static enum ig_code choose_sides(bool *kept, struct moving *moving, struct ig_err *err)
{
    const struct ig_db_move *move = moving->move;
    const struct ig_db_options from = {
        .database = move->from, .password = move->password, .dirfd = move->dirfd};
    const struct ig_db_options to = {
        .database = move->to, .password = move->password, .dirfd = move->dirfd};
    const struct ig_db_driver *source;
    if (ig_db_place_choose(&moving->to.place, &moving->to.driver, &to, err) != IG_OK ||
        ig_db_place_choose(&moving->from.place, &source, &from, err) != IG_OK)
        return err->code;
    if (source == moving->to.driver)
        return ig_fail(err, IG_INVALID, "the rows are in %s already", source->name);
    if (ig_db_place_settle(kept, &moving->to.place, moving->to.driver, err) != IG_OK || *kept)
        return err->code;
    ig_db_place_deinit(&moving->from.place);
    return ig_db_place_init(&moving->from.place, &moving->from.driver, &from, err);
}

static enum ig_code open_sides(struct moving *moving, struct ig_err *err)
{
    if (open_side(&moving->from, err) != IG_OK ||
        ig_db_place_note(&moving->from.place, moving->from.driver, err) != IG_OK) {
        ig_err_prefix(err, "the database to move from");
        return err->code;
    }
    if (ig_db_place_begin(moving->id, &moving->from.place, moving->to.driver, err) != IG_OK)
        return err->code;
    moving->begun = true;
    if (open_side(&moving->to, err) != IG_OK) ig_err_prefix(err, "the database to move to");
    return err->code;
}

enum ig_code ig_db_move(bool *kept, const struct ig_db_move *move, struct ig_err *err)
{
    struct moving moving = {.move = move};
    int lock_fd = -1;
    *kept = false;
    if (ig_db_directory_lock(&lock_fd, move->dirfd, err) != IG_OK) return err->code;
    ig_arena_init(&moving.arena, 64 << 10, 64 << 20);
    ig_buf_init(&moving.sql, SQL_MAX);
    if (choose_sides(kept, &moving, err) == IG_OK && !*kept && open_sides(&moving, err) == IG_OK)
        move_all(&moving, err);
    close_side(&moving.to);
    close_side(&moving.from);
    if (err->code == IG_OK && moving.begun)
        ig_db_place_moved(&moving.to.place, moving.to.driver, err);
    else if (moving.begun && !(moving.unknown && moving.to.driver != &ig_db_sqlite))
        ig_db_place_abandon(&moving.to.place, moving.to.driver);
    ig_db_place_deinit(&moving.from.place);
    ig_db_place_deinit(&moving.to.place);
    ig_buf_deinit(&moving.sql);
    ig_arena_deinit(&moving.arena);
    close(lock_fd);
    return err->code;
}
