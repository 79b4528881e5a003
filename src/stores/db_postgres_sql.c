/* SPDX-License-Identifier: Apache-2.0 */
/* The one place where the common dialect is said in PostgreSQL's words:
 *
 * 1. text compares and sorts by its bytes, as in SQLite: columns are made with the collation "C",
 *    and lower($1) folds by it (so ASCII alone, as SQLite's does).
 * 2. LIKE has no escape character unless one is named: `a like $1` becomes `a like $1 escape ''`.
 * 3. `without rowid`, by which SQLite keeps a table in the order of its primary key, is left out.
 *
 * Texts in quotes stay as they are. Pure. */
#include "stores/db_postgres_priv.h"

#include <ctype.h>
#include <string.h>

static bool word_char(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '$';
}

/* The end of a text that begins with a quote; two in it stand for one. */
static const char *skip_quoted(const char *at)
{
    const char quote = *at;
    do {
        const char *end = strchr(at + 1, quote);
        if (!end) return at + strlen(at);
        at = end + 1;
    } while (*at == quote);
    return at;
}

static const char *skip_word(const char *at)
{
    while (word_char(*at)) at++;
    return at;
}

/* The end of "$1", "name", "'text'", "(...)" or "name(...)". */
static const char *skip_operand(const char *at)
{
    int depth = 0;
    while (*at == ' ') at++;
    if (*at == '\'') return skip_quoted(at);
    at = skip_word(at);
    if (*at != '(') return at;
    do {
        if (*at == '\'') {
            at = skip_quoted(at);
            continue;
        }
        depth += *at == '(' ? 1 : *at == ')' ? -1 : 0;
        at++;
    } while (*at && depth > 0);
    return at;
}

static bool is_word(struct ig_str word, const char *name)
{
    return ig_str_eq_nocase(word, ig_str_view(name));
}

struct rendering {
    struct ig_buf *out;
    bool schema;
    const char *like_end; /* of the pattern that a LIKE is followed by, until it is passed */
};

/* The end of the pattern behind LIKE; NULL when its escape character follows. */
static const char *find_like_end(const char *at)
{
    static const char ESCAPE[] = " escape ";
    const char *end = skip_operand(at);
    return strncasecmp(end, ESCAPE, strlen(ESCAPE)) == 0 ? NULL : end;
}

/* Renders the word at `at`; returns what follows. */
static const char *render_word(struct rendering *rendering, const char *at)
{
    const char *after = skip_word(at), *from = at;
    struct ig_str word = {at, (size_t)(after - at)};
    bool collate = rendering->schema && is_word(word, "text");
    if (rendering->schema && is_word(word, "without")) return skip_word(after + 1);
    if (is_word(word, "like")) rendering->like_end = find_like_end(after);
    if (is_word(word, "lower") && after[0] == '(' && after[1] == '$') {
        after = skip_word(after + 1);
        collate = true;
    }
    /* A cast has a type without a collation. */
    if (rendering->schema && is_word(word, "as")) after = skip_operand(after);
    ig_buf_add(rendering->out, from, (size_t)(after - from));
    if (collate) ig_buf_add_cstr(rendering->out, " collate \"C\"");
    return after;
}

static const char *render_next(struct rendering *rendering, const char *at)
{
    const char *from = at;
    if (word_char(*at)) return render_word(rendering, at);
    at = *at == '\'' || *at == '"' ? skip_quoted(at) : at + 1;
    ig_buf_add(rendering->out, from, (size_t)(at - from));
    return at;
}

bool pg_is_plain(const char *sql, bool schema)
{
    return !strcasestr(sql, "like") && !strcasestr(sql, "lower(") &&
           !(schema && strcasestr(sql, "text"));
}

enum ig_code pg_render(struct ig_buf *out, const char *sql, bool schema, struct ig_err *err)
{
    struct rendering rendering = {.out = out, .schema = schema};
    while (*sql) {
        sql = render_next(&rendering, sql);
        if (!rendering.like_end || sql != rendering.like_end) continue;
        ig_buf_add_cstr(out, " escape ''");
        rendering.like_end = NULL;
    }
    if (out->overflowed) return ig_fail(err, IG_NO_MEMORY, "database statement");
    return IG_OK;
}
