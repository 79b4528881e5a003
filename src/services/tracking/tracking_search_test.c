/* SPDX-License-Identifier: Apache-2.0 */
/* Random searches over random runs against a filter and a sort written out in C, page by page; then
 * the tokens, the caps and the experiments. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "services/tracking/tracking_search.h"
#include "stores/db_testing.h"
#include "stores/temp_testing.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>

enum { RUNS = 80, EXPERIMENTS = 3, KEYS = 2, METRICS = 16, SEARCHES = 600, MISSING = -1 };

struct run {
    char id[33];
    int64_t experiment, status, start_ms, end_ms; /* end_ms MISSING: none */
    const char *name, *stage;
    int kinds[METRICS]; /* of metrics m0 to m15; MISSING: none */
    double metrics[METRICS];
    const char *params[KEYS], *tags[KEYS]; /* p0, p1; "t.0", "t.1" */
    const char *dataset, *context;
};

static struct run runs[RUNS];
static struct ig_temp temp;
static struct ig_db *db;
static struct ig_arena arena;
static struct ig_rng rng;

static const char *const WORDS[] = {"a", "A", "ab", "aB", "b%", "a_b", "a\\b", "", "Zebra"};
static const char *const PATTERNS[] = {"a%", "%B", "A_", "%", "_%_", "a\\b", "%\\%", "zebra", ""};
static const double NUMBERS[] = {-1.5, 0, 0.25, 3, 1e9};
static const char *const STATUSES[] = {"", "RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"};

#define PICK(from) ((from)[ig_rng_below(&rng, sizeof(from) / sizeof(from)[0])])

static bool chance(unsigned of)
{
    return ig_rng_below(&rng, of) == 0;
}

/* ---- the rows ---- */

/* From the third on most are 0, so that orders come down to the last of many. */
static void make_metric(struct run *run, int k)
{
    run->kinds[k] = chance(4) ? MISSING : chance(2) ? 0 : (int)ig_rng_below(&rng, 4);
    if (k >= 2 && !chance(8)) run->kinds[k] = 0;
    run->metrics[k] = run->kinds[k] == 0   ? k >= 2 && !chance(8) ? 0 : PICK(NUMBERS)
                        : run->kinds[k] == 1 ? NAN
                      : run->kinds[k] == 2 ? 1.7976931348623157e308
                                           : -1.7976931348623157e308;
}

static void make_run(struct run *run, unsigned i)
{
    /* Ids in no order of time. */
    snprintf(run->id, sizeof run->id, "%032x", (i * 37 + 11) % 256);
    run->experiment = 1 + (int64_t)ig_rng_below(&rng, EXPERIMENTS);
    run->status = 1 + (int64_t)ig_rng_below(&rng, 5);
    run->start_ms = 1000 + (int64_t)ig_rng_below(&rng, 20);
    run->end_ms = chance(3) ? MISSING : 2000 + (int64_t)ig_rng_below(&rng, 5);
    run->name = PICK(WORDS);
    run->stage = chance(4) ? "deleted" : "active";
    for (int k = 0; k < METRICS; k++) make_metric(run, k);
    for (int k = 0; k < KEYS; k++) {
        run->params[k] = chance(4) ? NULL : PICK(WORDS);
        run->tags[k] = chance(4) ? NULL : PICK(WORDS);
    }
    run->dataset = chance(2) ? NULL : PICK(WORDS);
    run->context = run->dataset && chance(2) ? PICK(WORDS) : NULL;
}

static enum ig_code insert_pairs(struct ig_db_tx *tx, const struct run *run, struct ig_err *err)
{
    static const char *const params[] = {"p0", "p1"}, *const tags[] = {"t.0", "t.1"};
    for (int k = 0; k < METRICS && err->code == IG_OK; k++) {
        struct ig_db_value value = run->kinds[k] ? IG_DB_N() : IG_DB_F(run->metrics[k]);
        char key[8];
        snprintf(key, sizeof key, "m%d", k);
        if (run->kinds[k] != MISSING)
            ig_db_exec(tx, "insert into latest_metrics values($1, $2, 0, 0, $3, $4, $5)",
                       IG_DB_VALUES(IG_DB_C(run->id), IG_DB_C(key), value, IG_DB_I(run->kinds[k]),
                                    IG_DB_I(run->experiment)),
                       err);
    }
    for (int k = 0; k < KEYS && err->code == IG_OK; k++) {
        if (run->params[k] && err->code == IG_OK)
            ig_db_exec(tx, "insert into params values($1, $2, $3)",
                       IG_DB_VALUES(IG_DB_C(run->id), IG_DB_C(params[k]), IG_DB_C(run->params[k])),
                       err);
        if (run->tags[k] && err->code == IG_OK)
            ig_db_exec(tx, "insert into run_tags values($1, $2, $3)",
                       IG_DB_VALUES(IG_DB_C(run->id), IG_DB_C(tags[k]), IG_DB_C(run->tags[k])),
                       err);
    }
    return err->code;
}

static enum ig_code insert_dataset(struct ig_db_tx *tx, const struct run *run, struct ig_err *err)
{
    struct ig_db_value id = IG_DB_I(run - runs);
    if (!run->dataset) return IG_OK;
    if (ig_db_exec(
            tx,
            "insert into datasets(id, experiment, name, digest, source_type, source)"
            " values($1, $2, $3, $4, '', '')",
            IG_DB_VALUES(id, IG_DB_I(run->experiment), IG_DB_C(run->dataset), IG_DB_C(run->id)),
            err) != IG_OK ||
        ig_db_exec(tx, "insert into run_inputs values($1, $2)", IG_DB_VALUES(IG_DB_C(run->id), id),
                   err) != IG_OK)
        return err->code;
    if (!run->context) return IG_OK;
    return ig_db_exec(tx, "insert into run_input_tags values($1, $2, 'mlflow.data.context', $3)",
                      IG_DB_VALUES(IG_DB_C(run->id), id, IG_DB_C(run->context)), err);
}

static enum ig_code insert(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    (void)context;
    for (int i = 1; i <= EXPERIMENTS && err->code == IG_OK; i++) {
        char name[16];
        snprintf(name, sizeof name, "Exp_%d", i);
        ig_db_exec(tx, "insert into experiments values($1, $2, '', $3, $4, $4)",
                   IG_DB_VALUES(IG_DB_I(i), IG_DB_C(name), IG_DB_C(i == 3 ? "deleted" : "active"),
                                IG_DB_I(100 * (i % 2))),
                   err);
    }
    if (err->code == IG_OK)
        ig_db_exec(tx, "insert into experiment_tags values(1, 'k', 'v')", NULL, 0, err);
    for (unsigned i = 0; i < RUNS && err->code == IG_OK; i++) {
        const struct run *run = &runs[i];
        ig_db_exec(tx, "insert into runs values($1, $2, $3, 'me', $4, $5, $6, $7, null, 's3://x')",
                   IG_DB_VALUES(IG_DB_C(run->id), IG_DB_I(run->experiment), IG_DB_C(run->name),
                                IG_DB_I(run->status), IG_DB_C(run->stage), IG_DB_I(run->start_ms),
                                run->end_ms == MISSING ? IG_DB_N() : IG_DB_I(run->end_ms)),
                   err);
        if (err->code == IG_OK && insert_pairs(tx, run, err) == IG_OK) insert_dataset(tx, run, err);
    }
    return err->code;
}

static int setup(void **state)
{
    struct ig_err err = IG_ERR_INIT;
    (void)state;
    temp = ig_temp_make();
    struct ig_db_options options = ig_db_testing_options(temp.fd);
    ig_arena_init(&arena, 1 << 16, 64 << 20);
    ig_rng_seed(&rng, 7);
    for (unsigned i = 0; i < RUNS; i++) make_run(&runs[i], i);
    ASSERT_OK(ig_db_open(&db, &options, &err));
    ASSERT_OK(ig_db_write(db, insert, NULL, &err));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ig_db_close(db);
    ig_arena_deinit(&arena);
    ig_temp_remove(&temp);
    return 0;
}

/* ---- the same in C ---- */

static char folded(char c, bool fold)
{
    return fold ? (char)tolower((unsigned char)c) : c;
}

static bool like(const char *text, struct ig_str pattern, bool fold)
{
    const char *resume_text = NULL;
    size_t at = 0, resume = 0;
    while (*text) {
        char c = at < pattern.len ? pattern.ptr[at] : '\0';
        if (c == '%') {
            resume = ++at;
            resume_text = text;
        } else if (at < pattern.len && (c == '_' || folded(c, fold) == folded(*text, fold))) {
            at++;
            text++;
        } else if (resume_text) {
            at = resume;
            text = ++resume_text;
        } else {
            return false;
        }
    }
    while (at < pattern.len && pattern.ptr[at] == '%') at++;
    return at == pattern.len;
}

static bool listed(const char *text, const struct ig_tracking_term *term)
{
    for (size_t i = 0; i < term->values_count; i++)
        if (ig_str_is(term->values[i], text)) return true;
    return false;
}

static bool words_match(const char *text, const struct ig_tracking_term *term)
{
    if (term->op == IG_TRACKING_IS_NULL) return !text;
    if (!text) return false;
    switch (term->op) {
    case IG_TRACKING_EQ:
    case IG_TRACKING_IN:
        return listed(text, term);
    case IG_TRACKING_NE:
    case IG_TRACKING_NOT_IN:
        return !listed(text, term);
    case IG_TRACKING_LIKE:
    case IG_TRACKING_ILIKE:
        return like(text, term->values[0], term->op == IG_TRACKING_ILIKE);
    default:
        return true; /* IS NOT NULL */
    }
}

static bool number_matches(double value, const struct ig_tracking_term *term)
{
    switch (term->op) {
    case IG_TRACKING_EQ:
        return value == term->number;
    case IG_TRACKING_NE:
        return value != term->number;
    case IG_TRACKING_GT:
        return value > term->number;
    case IG_TRACKING_GE:
        return value >= term->number;
    case IG_TRACKING_LT:
        return value < term->number;
    default:
        return value <= term->number;
    }
}

/* The number that ends the key. */
static size_t key_index(const struct ig_tracking_identifier *what)
{
    size_t digits = 0;
    while (isdigit((unsigned char)what->key.ptr[what->key.len - digits - 1])) digits++;
    return strtoul(what->key.ptr + what->key.len - digits, NULL, 10);
}

/* NULL: it has none. */
static const char *words_of(const struct run *run, const struct ig_tracking_identifier *what)
{
    if (what->entity == IG_TRACKING_PARAM) return run->params[key_index(what)];
    if (what->entity == IG_TRACKING_TAG) return run->tags[key_index(what)];
    switch (what->field) {
    case IG_TRACKING_BY_RUN_ID:
        return run->id;
    case IG_TRACKING_BY_RUN_NAME:
        return run->name;
    case IG_TRACKING_BY_STATUS:
        return STATUSES[run->status];
    case IG_TRACKING_BY_DATASET_NAME:
        return run->dataset;
    case IG_TRACKING_BY_DATASET_CONTEXT:
        return run->context;
    default:
        return "me";
    }
}

/* 0 and *out, or the rank of what is no number: 1, of a metric that is missing 2. */
static int number_of(double *out, const struct run *run, const struct ig_tracking_identifier *what)
{
    if (what->entity == IG_TRACKING_METRIC) {
        size_t k = key_index(what);
        *out = run->metrics[k];
        return run->kinds[k] == MISSING ? 2 : run->kinds[k] == 1;
    }
    int64_t at = what->field == IG_TRACKING_BY_START_TIME ? run->start_ms : run->end_ms;
    *out = (double)at;
    return at == MISSING;
}

static bool matches(const struct run *run, const struct ig_tracking_term *term)
{
    double value;
    if (!term->numeric) return words_match(words_of(run, &term->what), term);
    int rank = number_of(&value, run, &term->what);
    if (rank == 1 && term->what.entity == IG_TRACKING_METRIC) return term->op == IG_TRACKING_NE;
    return rank == 0 && number_matches(value, term);
}

static int compare_by(const struct run *a, const struct run *b,
                      const struct ig_tracking_order *order)
{
    double x = 0, y = 0;
    int sign = 0, rank_a, rank_b;
    bool number = order->what.entity == IG_TRACKING_METRIC ||
                  order->what.field == IG_TRACKING_BY_START_TIME ||
                  order->what.field == IG_TRACKING_BY_END_TIME;
    if (number) {
        rank_a = number_of(&x, a, &order->what);
        rank_b = number_of(&y, b, &order->what);
        if (rank_a == 0 && rank_b == 0) sign = (x > y) - (x < y);
    } else {
        const char *left = words_of(a, &order->what), *right = words_of(b, &order->what);
        rank_a = !left;
        rank_b = !right;
        if (left && right) sign = strcmp(left, right);
    }
    if (rank_a != rank_b) return rank_a - rank_b;
    return order->descending ? -sign : sign;
}

static bool before(const struct run *a, const struct run *b, const struct ig_tracking_order *orders,
                   size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int sign = compare_by(a, b, &orders[i]);
        if (sign) return sign < 0;
    }
    if (a->start_ms != b->start_ms) return a->start_ms > b->start_ms;
    return strcmp(a->id, b->id) < 0;
}

static bool in_view(const struct run *run, const struct ig_tracking_search *search)
{
    bool deleted = strcmp(run->stage, "deleted") == 0, inside = false;
    for (size_t i = 0; i < search->experiments_count; i++)
        inside = inside || search->experiments[i] == run->experiment;
    return inside &&
           (search->view == IG_TRACKING_ALL || deleted == (search->view == IG_TRACKING_DELETED));
}

static size_t expected(const struct run *found[RUNS], const struct ig_tracking_search *search)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_tracking_filter filter;
    struct ig_tracking_order orders[IG_TRACKING_ORDERS_MAX];
    size_t count = 0;
    ASSERT_OK(ig_tracking_filter_parse(&filter, search->kind, search->filter, &arena, &err));
    for (size_t i = 0; i < search->orders_count; i++)
        ASSERT_OK(ig_tracking_order_parse(&orders[i], search->kind, search->orders[i], &err));
    for (const struct run *run = runs; run < runs + RUNS; run++) {
        bool taken = in_view(run, search);
        for (size_t i = 0; taken && i < filter.count; i++) taken = matches(run, &filter.terms[i]);
        if (!taken) continue;
        size_t at = count++;
        for (; at > 0 && before(run, found[at - 1], orders, search->orders_count); at--)
            found[at] = found[at - 1];
        found[at] = run;
    }
    return count;
}

/* ---- random searches ---- */

static void add_random_term(struct ig_buf *buf)
{
    static const char *const metrics[] = {"metrics.m0", "metric.`m1`", "start_time", "end_time"};
    static const char *const words[] = {"params.p0", "params.p1", "tags.`t.0`", "tags.t.1",
                                        "run_name",  "status",    "user_id"};
    static const char *const ops[] = {"=", "!=", ">", ">=", "<", "<="};
    static const char *const equals[] = {"=", "!="}, *const likes[] = {"LIKE", "ILIKE"};
    static const char *const nulls[] = {"IS NULL", "IS NOT NULL"}, *const in[] = {"IN", "NOT IN"};
    switch (ig_rng_below(&rng, 6)) {
    case 0:
    case 1: {
        const char *what = PICK(metrics);
        double number = strchr(what, '.') ? PICK(NUMBERS) : (double)(1005 + 1000 * chance(2));
        ig_buf_printf(buf, "%s %s %.17g", what, PICK(ops), number);
        return;
    }
    case 2:
        ig_buf_printf(buf, "%s %s '%s'", PICK(words), PICK(equals),
                      chance(4) ? "FINISHED" : PICK(WORDS));
        return;
    case 3:
        ig_buf_printf(buf, "%s %s '%s'", PICK(words), PICK(likes), PICK(PATTERNS));
        return;
    case 4:
        ig_buf_printf(buf, "params.p%d %s", chance(2), PICK(nulls));
        return;
    default:
        if (chance(2))
            ig_buf_printf(buf, "dataset.%s %s ('a', 'ab', 'Zebra')", chance(2) ? "name" : "context",
                          PICK(in));
        else
            ig_buf_printf(buf, "run_id %s ('%s', '%s')", PICK(in), runs[0].id, runs[5].id);
    }
}

static void random_filter(struct ig_buf *buf)
{
    uint64_t count = ig_rng_below(&rng, 4);
    ig_buf_reset(buf);
    for (uint64_t i = 0; i < count; i++) {
        if (i) ig_buf_add_cstr(buf, " AND ");
        add_random_term(buf);
    }
}

static size_t random_orders(struct ig_str out[3], char texts[3][64])
{
    static const char *const keys[] = {"metrics.m0", "metrics.m1", "params.p0", "tags.t.1",
                                       "start_time", "end_time",   "run_name",  "status"};
    size_t count = ig_rng_below(&rng, 4), first = ig_rng_below(&rng, 8);
    for (size_t i = 0; i < count; i++) {
        snprintf(texts[i], 64, "%s%s", keys[(first + 3 * i) % 8],
                 chance(2)   ? " DESC"
                 : chance(2) ? " asc"
                             : "");
        out[i] = ig_str_view(texts[i]);
    }
    return count;
}

/* All pages, each as long as it can be. */
static void check_pages(struct ig_tracking_search search)
{
    const struct run *found[RUNS];
    size_t count = expected(found, &search), at = 0;
    struct ig_tracking_found page;
    do {
        struct ig_err err = IG_ERR_INIT;
        ASSERT_OK(ig_tracking_search(&page, db, &search, &arena, &err));
        if (page.count > 2 && chance(8)) { /* a page may be ended early */
            ASSERT_OK(ig_tracking_found_cut(&page, page.count - 1, &arena, &err));
            search.results_max = (int64_t)page.count;
        }
        bool more = at + (size_t)search.results_max < count;
        if (page.count != (more ? (size_t)search.results_max : count - at) ||
            more != (page.token.len > 0))
            fail_msg("%.*s: %zu rows at %zu of %zu", IG_STR_ARGS(search.filter), page.count, at,
                     count);
        for (size_t i = 0; i < page.count; i++, at++)
            if (!ig_str_is(page.ids[i], found[at]->id))
                fail_msg("'%.*s' by %.*s, %.*s: row %zu", IG_STR_ARGS(search.filter),
                         IG_STR_ARGS(search.orders_count ? search.orders[0] : IG_STR("")),
                         IG_STR_ARGS(search.orders_count > 1 ? search.orders[1] : IG_STR("")), at);
        search.token = page.token;
    } while (search.token.len);
    assert_int_equal(at, count);
}

static void test_random_searches(void **state)
{
    struct ig_buf filter;
    (void)state;
    ig_buf_init(&filter, 4096);
    for (int i = 0; i < SEARCHES; i++) {
        int64_t experiments[] = {1 + (int64_t)ig_rng_below(&rng, EXPERIMENTS), 2};
        struct ig_str orders[3];
        char texts[3][64];
        ig_arena_reset(&arena);
        random_filter(&filter);
        struct ig_tracking_search search = {
            .kind = IG_TRACKING_RUNS,
            .experiments = experiments,
            .experiments_count = 1 + (size_t)ig_rng_below(&rng, 2),
            .filter = ig_buf_view(&filter),
            .orders = orders,
            .orders_count = random_orders(orders, texts),
            .view = (enum ig_tracking_view)ig_rng_below(&rng, 3),
            .results_max = 1 + (int64_t)ig_rng_below(&rng, 30),
        };
        check_pages(search);
    }
    ig_buf_deinit(&filter);
}

/* As many keys as an order may have. */
static void test_long_orders(void **state)
{
    static const int64_t experiments[] = {1, 2, 3};
    struct ig_str orders[IG_TRACKING_ORDERS_MAX];
    char texts[IG_TRACKING_ORDERS_MAX][32];
    (void)state;
    for (int round = 0; round < 20; round++) {
        struct ig_tracking_search search = {.experiments = experiments,
                                            .experiments_count = 3,
                                            .filter = IG_STR(""),
                                            .orders = orders,
                                            .orders_count = IG_TRACKING_ORDERS_MAX,
                                            .view = IG_TRACKING_ALL,
                                            .results_max = 3 + round};
        ig_arena_reset(&arena);
        for (int i = 0; i < IG_TRACKING_ORDERS_MAX; i++) {
            snprintf(texts[i], sizeof texts[i], "metrics.m%d%s", METRICS - 1 - i,
                     chance(2) ? " DESC" : "");
            orders[i] = ig_str_view(texts[i]);
        }
        check_pages(search);
    }
}

/* A pattern as long as it may be is compared, a longer one is refused by its place. */
static void test_long_patterns(void **state)
{
    enum { MAX = IG_TRACKING_PATTERN_BYTES_MAX };
    static const char *const heads[] = {"tags.k LIKE '", "name ILIKE '"};
    static char filter[MAX + 32];
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct ig_tracking_search search = {
            .kind = IG_TRACKING_EXPERIMENTS, .view = IG_TRACKING_ALL, .results_max = 5};
        struct ig_tracking_found page;
        struct ig_err err = IG_ERR_INIT;
        size_t head = strlen(heads[i]);
        ig_arena_reset(&arena);
        memcpy(filter, heads[i], head);
        memset(filter + head, '\\', MAX);
        memcpy(filter + head + MAX - 1, "%'", 2);
        search.filter = (struct ig_str){filter, head + MAX + 1};
        ASSERT_OK(ig_tracking_search(&page, db, &search, &arena, &err));
        assert_int_equal(page.count, 0);
        memcpy(filter + head + MAX, "%'", 2);
        search.filter.len++;
        ASSERT_FAILS(ig_tracking_search(&page, db, &search, &arena, &err), IG_INVALID,
                     "a pattern of 25001 bytes, at most 25000");
    }
}

/* ---- one by one ---- */

static void test_refusals(void **state)
{
    static const int64_t experiments[] = {1, 2, 3};
    const struct ig_str twice[] = {IG_STR("start_time"), IG_STR("created DESC")};
    struct ig_tracking_search search = {.experiments = experiments,
                                        .experiments_count = 3,
                                        .view = IG_TRACKING_ALL,
                                        .results_max = 5};
    struct ig_tracking_found page;
    struct ig_err err = IG_ERR_INIT;
    char foreign[64];
    (void)state;
    ig_arena_reset(&arena);
    ASSERT_OK(ig_tracking_search(&page, db, &search, &arena, &err));
    assert_int_equal(page.token.len, 48);
    snprintf(foreign, sizeof foreign, "%.16s%032x", page.token.ptr, 0xfff);
    search.token = page.token;
    search.filter = IG_STR("metrics.m0 > 0");
    ASSERT_FAILS(ig_tracking_search(&page, db, &search, &arena, &err), IG_INVALID,
                 "is of another search");
    search.filter = IG_STR("");
    search.token = IG_STR("eyJvZmZzZXQiOiA1fQ==");
    ASSERT_FAILS(ig_tracking_search(&page, db, &search, &arena, &err), IG_INVALID, "page token");
    search.token = ig_str_view(foreign);
    ASSERT_FAILS(ig_tracking_search(&page, db, &search, &arena, &err), IG_INVALID, "is gone");
    search.token = IG_STR("");
    search.orders = twice;
    search.orders_count = 2;
    ASSERT_FAILS(ig_tracking_search(&page, db, &search, &arena, &err), IG_INVALID,
                 "duplicate fields: 'created DESC'");
    search.orders_count = 0;
    search.results_max = 0;
    ASSERT_FAILS(ig_tracking_search(&page, db, &search, &arena, &err), IG_INVALID,
                 "Invalid value 0 for parameter 'max_results' supplied. It must be a positive");
    search.results_max = IG_TRACKING_RESULTS_MAX + 1;
    ASSERT_FAILS(ig_tracking_search(&page, db, &search, &arena, &err), IG_INVALID,
                 "It must be at most 50000");
    search.results_max = 1;
    search.experiments_count = 0;
    ASSERT_OK(ig_tracking_search(&page, db, &search, &arena, &err));
    assert_int_equal(page.count, 0);
}

static void check_experiments(const char *filter, const char *order, const char *ids)
{
    struct ig_str orders[] = {ig_str_view(order)};
    struct ig_tracking_search search = {.kind = IG_TRACKING_EXPERIMENTS,
                                        .filter = ig_str_view(filter),
                                        .orders = orders,
                                        .orders_count = *order ? 1 : 0,
                                        .view = IG_TRACKING_ALL,
                                        .results_max = 1};
    struct ig_err err = IG_ERR_INIT;
    struct ig_tracking_found page;
    char got[64] = "";
    do {
        ASSERT_OK(ig_tracking_search(&page, db, &search, &arena, &err));
        if (page.count)
            snprintf(got + strlen(got), sizeof got - strlen(got), "%.*s ",
                     IG_STR_ARGS(page.ids[0]));
        search.token = page.token;
    } while (search.token.len);
    assert_string_equal(got, ids);
}

static void test_experiments(void **state)
{
    (void)state;
    ig_arena_reset(&arena);
    check_experiments("", "", "1 3 2 "); /* made at 100, 100, 0 */
    check_experiments("", "creation_time", "2 3 1 ");
    check_experiments("", "name DESC", "3 2 1 ");
    check_experiments("", "experiment_id", "1 2 3 ");
    check_experiments("tags.k = 'v'", "", "1 ");
    check_experiments("tags.k IS NULL AND creation_time >= 100", "", "3 ");
    check_experiments("name LIKE 'exp%'", "", "");
    check_experiments("name ILIKE 'exp__'", "name", "1 2 3 ");
    check_experiments("experiment_id IN ('3', '1', '9')", "name", "1 3 ");
    check_experiments("experiment_id != '2' AND name != 'Exp_1'", "", "3 ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_searches), cmocka_unit_test(test_long_orders),
        cmocka_unit_test(test_long_patterns),   cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_experiments),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
