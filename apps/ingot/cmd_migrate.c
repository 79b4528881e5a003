/* SPDX-License-Identifier: Apache-2.0 */
/* `ingot migrate`: the rows of a data directory from SQLite to PostgreSQL or back. */
#include "services.h"

#include "base/file.h"
#include "stores/db_move.h"

#include <stdio.h>
#include <stdlib.h>

enum { PASSWORD_MAX = 4096 };

struct printing {
    bool json;
    size_t tables;
    int64_t rows;
};

static void print_table(void *context, const struct ig_db_moved_table *table)
{
    struct printing *printing = context;
    printing->rows += table->rows;
    if (printing->json)
        printf("%s{\"table\": \"%.*s\", \"rows\": %lld, \"sha256\": \"%s\"}",
               printing->tables ? ", " : "", IG_STR_ARGS(table->name), (long long)table->rows,
               table->digest);
    else if (table->rows)
        printf("%10lld  %.*s  %.12s\n", (long long)table->rows, IG_STR_ARGS(table->name),
               table->digest);
    printing->tables++;
}

static void move(const struct ig_cli *cli, struct ig_db_move *how, struct ig_err *err)
{
    const char *file = ig_cli_text(cli, "password-file");
    const char *dir = ig_cli_text(cli, "data");
    struct printing printing = {.json = ig_str_is(ig_str_view(ig_cli_text(cli, "format")), "json")};
    struct ig_buf password;
    bool kept = false;
    how->told = print_table;
    how->context = &printing;
    how->dirfd = -1;
    ig_buf_init(&password, PASSWORD_MAX);
    if (!file) file = getenv("INGOT_DATABASE_PASSWORD_FILE");
    if (file && *file && ig_services_password(&password, file, err) == IG_OK)
        how->password = password.ptr;
    if (err->code == IG_OK) ig_dir_open(&how->dirfd, IG_FILE_CWD, dir ? dir : "ingot-data", err);
    if (printing.json) printf("{\"tables\": [");
    if (err->code == IG_OK) ig_db_move(&kept, how, err);
    if (printing.json)
        printf("], \"moved\": %s}\n", err->code == IG_OK ? "true" : "false");
    else if (kept)
        printf("an earlier move that was cut short had been kept: it is finished now\n");
    else if (err->code == IG_OK)
        printf("%10lld  rows of %zu tables moved, read back and found the same\n",
               (long long)printing.rows, printing.tables);
    if (password.ptr) explicit_bzero(password.ptr, password.len);
    ig_buf_deinit(&password);
    ig_file_close(&how->dirfd);
}

int ig_cmd_migrate(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    const char *to = ig_cli_text(cli, "to"), *from = ig_cli_text(cli, "from");
    if (!to || !*to) return ig_cli_usage(cli, "--to: which database is missing");
    bool home = ig_str_is(ig_str_view(to), "sqlite");
    if (!from && home) from = getenv("INGOT_DATABASE");
    if (home && !from)
        return ig_cli_usage(cli, "--from: which database is missing (or INGOT_DATABASE)");
    struct ig_db_move how = {.from = from ? from : "sqlite", .to = to};
    move(cli, &how, &err);
    if (err.code == IG_OK) return ig_cli_flush(cli, stdout) ? IG_EXIT_OK : IG_EXIT_FAILURE;
    return ig_cli_fail(cli, &err,
                       err.code == IG_CONFLICT ? "end the server first, and give a database "
                                                 "without rows"
                                               : NULL);
}
