/* SPDX-License-Identifier: Apache-2.0 */
/* Which database a data directory belongs to. Where that is elsewhere, the file `database` in the
 * directory names it, without passwords: a server or an offline command that was not told of it is
 * refused rather than given an empty ingot.db, and a directory with an ingot.db is refused to a
 * database elsewhere, since nothing would move there. Thread rule: by ig_db_open alone. */
#include "base/file.h"
#include "base/mem.h"
#include "stores/db_priv.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { NOTE_MAX = 512 };

static const char NOTE[] = IG_DB_NOTE;

static const struct ig_db_driver *find_driver(struct ig_str name)
{
    static const struct ig_db_driver *const drivers[] = {
#define IG_STORE_DB(id, symbol, doc) &symbol,
#include "stores/stores.def"
#undef IG_STORE_DB
    };
    if (name.len == 0) name = IG_STR("sqlite");
    if (ig_str_is(name, "postgres")) name = IG_STR("postgresql");
    for (size_t i = 0; i < sizeof drivers / sizeof drivers[0]; i++)
        if (ig_str_is(name, drivers[i]->name)) return drivers[i];
    return NULL;
}

/* What stands before "://", or all of it. */
static struct ig_str scheme_of(const char *database)
{
    const char *end = strstr(database, "://");
    return (struct ig_str){database, end ? (size_t)(end - database) : strlen(database)};
}

static bool is_elsewhere(const struct ig_db_driver *driver)
{
    return driver != &ig_db_sqlite;
}

void ig_db_url_redact(char *out, size_t size, const char *database)
{
    struct ig_buf text;
    const char *rest = strstr(database, "://");
    const char *host = rest ? strrchr(rest, '@') : NULL;
    const char *query = host ? host : database;
    const char *colon = host ? memchr(rest + 3, ':', (size_t)(host - rest - 3)) : NULL;
    ig_buf_init(&text, size);
    if (colon) {
        ig_buf_add(&text, database, (size_t)(colon + 1 - database));
        ig_buf_add_cstr(&text, "***");
    } else {
        ig_buf_add(&text, database, (size_t)(query - database));
    }
    for (const char *at; (at = strstr(query, "password=")); query = at + strcspn(at, "&")) {
        at += strlen("password=");
        ig_buf_add(&text, query, (size_t)(at - query));
        ig_buf_add_cstr(&text, "***");
    }
    ig_buf_add_cstr(&text, query);
    snprintf(out, size, "%s", text.overflowed ? "(too long)" : text.ptr ? text.ptr : "");
    ig_buf_deinit(&text);
}

static enum ig_code check_directory(const struct ig_db_place *place,
                                    const struct ig_db_driver *driver, struct ig_err *err)
{
    struct stat info;
    struct ig_buf note;
    if (is_elsewhere(driver)) {
        if (fstatat(place->dirfd, "ingot.db", &info, 0) != 0) return IG_OK;
        return ig_fail(err, IG_CONFLICT,
                       "data directory: it has an ingot.db (SQLite): move its rows by `ingot "
                       "migrate`, use an empty directory, or leave `database` out");
    }
    if (fstatat(place->dirfd, NOTE, &info, 0) != 0) return IG_OK;
    ig_buf_init(&note, NOTE_MAX);
    if (ig_file_read(&note, place->dirfd, NOTE, err) == IG_OK)
        ig_fail(err, IG_CONFLICT,
                "data directory: its database is %.*s: give it by the setting `database` or in "
                "INGOT_DATABASE",
                IG_STR_ARGS(ig_buf_view(&note)));
    ig_buf_deinit(&note);
    return ig_err_code(err);
}

static char *copy(const char *text)
{
    size_t size = strlen(text) + 1;
    char *out = ig_alloc(size);
    if (out) memcpy(out, text, size);
    return out;
}

enum ig_code ig_db_place_choose(struct ig_db_place *place, const struct ig_db_driver **driver,
                                const struct ig_db_options *options, struct ig_err *err)
{
    const char *database = options->database ? options->database : "";
    struct ig_str scheme = scheme_of(database);
    const struct ig_db_driver *found = find_driver(scheme);
    bool url = scheme.len < strlen(database);
    *place = (struct ig_db_place){.dirfd = options->dirfd};
    if (memchr(scheme.ptr, '@', scheme.len)) scheme = IG_STR("..."); /* perhaps a password */
    if (!found || url != is_elsewhere(found))
        return ig_fail(err, IG_INVALID,
                       "database: '%.*s%s' is neither empty, sqlite nor an URL "
                       "postgresql://USER:PASSWORD@HOST/DATABASE",
                       (int)(scheme.len > 40 ? 40 : scheme.len), scheme.ptr, url ? "://..." : "");
    place->url = copy(database);
    if (options->password) place->password = copy(options->password);
    if (!place->url || (options->password && !place->password))
        return ig_fail(err, IG_NO_MEMORY, "database");
    *driver = found;
    return IG_OK;
}

enum ig_code ig_db_place_init(struct ig_db_place *place, const struct ig_db_driver **driver,
                              const struct ig_db_options *options, struct ig_err *err)
{
    const struct ig_db_driver *found;
    bool kept;
    if (ig_db_place_choose(place, &found, options, err) == IG_OK &&
        ig_db_place_settle(&kept, place, found, err) == IG_OK &&
        check_directory(place, found, err) == IG_OK)
        *driver = found;
    return err->code;
}

enum ig_code ig_db_place_note(const struct ig_db_place *place, const struct ig_db_driver *driver,
                              struct ig_err *err)
{
    struct ig_err ignored = IG_ERR_INIT;
    struct ig_buf known;
    char note[NOTE_MAX];
    if (!is_elsewhere(driver)) return IG_OK;
    ig_db_url_redact(note, sizeof note, place->url);
    ig_buf_init(&known, NOTE_MAX);
    if (ig_file_read(&known, place->dirfd, NOTE, &ignored) != IG_OK ||
        !ig_str_is(ig_buf_view(&known), note))
        ig_file_replace(place->dirfd, NOTE, ig_str_view(note), err);
    ig_buf_deinit(&known);
    return err->code;
}

void ig_db_place_deinit(struct ig_db_place *place)
{
    if (place->url) explicit_bzero(place->url, strlen(place->url));
    if (place->password) explicit_bzero(place->password, strlen(place->password));
    ig_free(place->url);
    ig_free(place->password);
    *place = (struct ig_db_place){.dirfd = -1};
}
