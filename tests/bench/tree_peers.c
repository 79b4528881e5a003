/* SPDX-License-Identifier: Apache-2.0 */
/* Our tree kernels beside another library: same process, same model, same rows, one thread, turn
 * by turn. Margins must have equal bits, or the program fails.
 *
 *   tree_peers [--smoke] [--version TEXT] xgboost|lightgbm LIBRARY
 *
 * The other library trains the models (binary, 20,000 x 30, 3% missing) and writes them; we read
 * its file. Figures are microseconds a row, from the run with the median CPU time of the thread; on
 * a busy machine only CPU times compare. Prints Markdown. */
#include "peer.h"

#include "base/mem.h"
#include "formats/format.h"
#include "kernels/cpu/cpu.h"
#include "kernels/engine.h"

#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { REPEATS_MAX = 9, FILE_MAX = 1 << 28 };

struct scale {
    uint32_t train_rows;
    uint32_t features;
    uint32_t rows;
    uint32_t repeats;
    struct peer_model_size models[2];
    uint32_t models_count;
};

static const struct scale WHOLE = {20000, 30, 2000, REPEATS_MAX, {{100, 6}, {500, 8}}, 2};
static const struct scale SMOKE = {1000, 10, 60, 1, {{10, 4}}, 1};

static const char *const CALL_NAMES[PEER_CALLS_COUNT] = {
    [PEER_PREDICT_ONE] = "predict, one row",
    [PEER_PREDICT_IN_PLACE] = "predict, one row (peer: in place)",
    [PEER_PREDICT_BATCH] = "predict, batch",
    [PEER_EXPLAIN_ONE] = "explain, one row",
    [PEER_EXPLAIN_BATCH] = "explain, batch",
};

struct clocks {
    double wall;
    double cpu;
};

struct bench {
    const struct scale *scale;
    struct peer *peer;
    struct ig_model *model;
    struct ig_engine *engine;
    struct peer_table rows;
    double *ours;
    double *theirs;
    double *additivity;
    void *scratch;
};

void *peer_library(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) peer_fail("opening the library", dlerror());
    return library;
}

void *peer_symbol(void *library, const char *name)
{
    void *symbol = dlsym(library, name);
    if (!symbol) peer_fail(name, "no such symbol");
    return symbol;
}

_Noreturn void peer_fail(const char *what, const char *message)
{
    fprintf(stderr, "tree_peers: %s: %s\n", what, message);
    exit(1);
}

static void *need(void *memory)
{
    if (!memory) peer_fail("memory", "none left");
    return memory;
}

/* ---- data ---- */

static double unit(uint64_t *seed)
{
    uint64_t z = (*seed += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

/* Inputs in [-2, 2) as floats, 3% missing; labels follow products and a noise. */
static struct peer_table make_table(uint32_t rows, uint32_t features, uint64_t seed)
{
    struct peer_table table = {.rows = rows, .features = features};
    table.values = need(ig_alloc((size_t)rows * features * sizeof(double)));
    table.labels = need(ig_alloc(rows * sizeof(float)));
    for (uint32_t i = 0; i < rows; i++) {
        double *row = table.values + (size_t)i * features;
        double score = (unit(&seed) - 0.5) * 4;
        for (uint32_t f = 0; f < features; f++) {
            row[f] = (double)(float)(unit(&seed) * 4 - 2);
            score += f % 3 ? row[f] / (f + 1) : row[f] * row[(f + 1) / 2] / 2;
        }
        table.labels[i] = score > 0 ? 1 : 0;
        for (uint32_t f = 0; f < features; f++)
            if (unit(&seed) < 0.03) row[f] = (double)NAN;
    }
    return table;
}

static void free_table(struct peer_table *table)
{
    ig_free(table->values);
    ig_free(table->labels);
}

static struct ig_model *read_model(const char *path)
{
    char *bytes = need(ig_alloc(FILE_MAX));
    FILE *file = fopen(path, "rb");
    if (!file) peer_fail(path, "cannot be read");
    size_t count = fread(bytes, 1, FILE_MAX, file);
    fclose(file);
    struct ig_err err = IG_ERR_INIT;
    struct ig_model *model = NULL;
    if (ig_format_load(&model, (struct ig_str){bytes, count}, NULL, &err) != IG_OK)
        peer_fail("our reader", err.message);
    ig_free(bytes);
    return model;
}

/* ---- measuring ---- */

static double seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static struct clocks read_clocks(void)
{
    return (struct clocks){seconds(CLOCK_MONOTONIC), seconds(CLOCK_THREAD_CPUTIME_ID)};
}

static struct clocks since(struct clocks start, uint32_t rows)
{
    struct clocks now = read_clocks();
    return (struct clocks){(now.wall - start.wall) * 1e6 / rows,
                           (now.cpu - start.cpu) * 1e6 / rows};
}

static bool is_explain(enum peer_call call)
{
    return call == PEER_EXPLAIN_ONE || call == PEER_EXPLAIN_BATCH;
}

static struct clocks run_ours(struct bench *bench, enum peer_call call)
{
    uint32_t count = bench->rows.rows;
    uint32_t features = bench->rows.features;
    bool batch = call == PEER_PREDICT_BATCH || call == PEER_EXPLAIN_BATCH;
    uint32_t step = batch ? count : 1;
    struct clocks start = read_clocks();
    for (uint32_t i = 0; i < count; i += step) {
        const double *row = bench->rows.values + (size_t)i * features;
        const struct ig_engine_io io = {row, step, bench->ours + i * (features + 1UL),
                                        bench->additivity, NULL};
        if (is_explain(call))
            ig_engine_explain(bench->engine, &io, bench->scratch);
        else
            ig_engine_margin(bench->engine, row, step, bench->ours + i, bench->scratch);
    }
    return since(start, count);
}

static struct clocks run_theirs(struct bench *bench, enum peer_call call, uint32_t count)
{
    bench->peer->prepare(bench->peer, call, count);
    struct clocks start = read_clocks();
    bench->peer->run(bench->peer, call, count, bench->theirs);
    return since(start, count);
}

static int compare(const void *a, const void *b)
{
    const struct clocks *left = a;
    const struct clocks *right = b;
    return (left->cpu > right->cpu) - (left->cpu < right->cpu);
}

static struct clocks median(struct clocks *times, uint32_t count)
{
    qsort(times, count, sizeof *times, compare);
    return times[count / 2];
}

/* So many of the rows that the other library takes about 0.4 s; we always take all. */
static uint32_t rows_for(struct bench *bench, enum peer_call call)
{
    uint32_t few = bench->rows.rows < 20 ? bench->rows.rows : 20;
    struct clocks one = run_theirs(bench, call, few);
    double rows = 4e5 / (one.wall + 1e-9);
    return rows < bench->rows.rows ? (uint32_t)rows + 1 : bench->rows.rows;
}

/* Counts rows whose margins differ in any bit. */
static uint32_t differing(const struct bench *bench, uint32_t count)
{
    uint32_t wrong = 0;
    for (uint32_t i = 0; i < count; i++)
        wrong += memcmp(&bench->ours[i], &bench->theirs[i], sizeof(double)) != 0;
    return wrong;
}

/* Greatest |ours - theirs| / max(1, |theirs|). */
static double distance(const struct bench *bench, uint32_t count)
{
    double most = 0;
    for (size_t i = 0; i < (size_t)count * (bench->rows.features + 1); i++)
        most =
            fmax(most, fabs(bench->ours[i] - bench->theirs[i]) / fmax(1, fabs(bench->theirs[i])));
    return most;
}

/* Prints one line of the table; false when margins differ. */
static bool bench_call(struct bench *bench, enum peer_call call)
{
    uint32_t count = rows_for(bench, call);
    struct clocks ours[REPEATS_MAX];
    struct clocks theirs[REPEATS_MAX];
    for (uint32_t i = 0; i < bench->scale->repeats; i++) {
        ours[i] = run_ours(bench, call);
        theirs[i] = run_theirs(bench, call, count);
    }
    struct clocks our = median(ours, bench->scale->repeats);
    struct clocks their = median(theirs, bench->scale->repeats);
    bool explains = is_explain(call);
    uint32_t wrong = explains ? 0 : differing(bench, count);
    printf("| %s | %.3f | %.3f | %u | %.3f | %.3f | **%.1f** | ", CALL_NAMES[call], our.cpu,
           our.wall, count, their.cpu, their.wall, their.cpu / our.cpu);
    if (explains)
        printf("within %.1e |\n", distance(bench, count));
    else if (wrong == 0)
        printf("equal bits |\n");
    else
        printf("%u rows differ |\n", wrong);
    return wrong == 0;
}

static void open_bench(struct bench *bench, const char *path)
{
    bench->model = read_model(path);
    struct ig_err err = IG_ERR_INIT;
    if (ig_engine_new(&bench->engine, bench->model, &err) != IG_OK)
        peer_fail("our engine", err.message);
    size_t rows = bench->rows.rows;
    size_t margin = ig_engine_scratch_bytes(bench->engine, IG_ENGINE_MARGIN, rows);
    size_t explain = ig_engine_scratch_bytes(bench->engine, IG_ENGINE_CONTRIBUTIONS, rows);
    size_t values = rows * (bench->rows.features + 1U);
    bench->scratch = need(ig_alloc_aligned(64, margin > explain ? margin : explain));
    bench->ours = need(ig_zalloc_array(values, sizeof(double)));
    bench->theirs = need(ig_zalloc_array(values, sizeof(double)));
    bench->additivity = need(ig_zalloc_array(rows, sizeof(double)));
    bench->peer->load(bench->peer, path, &bench->rows);
}

static void close_bench(struct bench *bench)
{
    bench->peer->unload(bench->peer);
    ig_engine_free(bench->engine);
    ig_model_free(bench->model);
    ig_free(bench->scratch);
    ig_free(bench->ours);
    ig_free(bench->theirs);
    ig_free(bench->additivity);
}

static bool bench_model(struct bench *bench, const struct peer_table *training,
                        struct peer_model_size size, const char *folder)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, bench->peer->model_name);
    bench->peer->train(bench->peer, training, size, path);
    open_bench(bench, path);
    unlink(path);
    printf("\n%u trees of depth %u (%u leaves), %s %s, our kernels: %s\n\n", size.trees, size.depth,
           (bench->model->nodes_count + bench->model->trees_count) / 2, bench->peer->name,
           bench->peer->version, ig_engine_isa(bench->engine));
    printf("| operation | Ingot, CPU | wall | rows | %s, CPU | wall | ratio of CPU | results |\n"
           "|---|---|---|---|---|---|---|---|\n",
           bench->peer->name);
    bool equal = true;
    for (unsigned call = 0; call < PEER_CALLS_COUNT; call++)
        if (bench->peer->calls[call]) equal &= bench_call(bench, (enum peer_call)call);
    fflush(stdout);
    close_bench(bench);
    return equal;
}

static bool bench_all(struct bench *bench, const char *folder)
{
    const struct scale *scale = bench->scale;
    struct peer_table training = make_table(scale->train_rows, scale->features, 1);
    bench->rows = make_table(scale->rows, scale->features, 2);
    bool equal = true;
    for (uint32_t i = 0; i < scale->models_count; i++)
        equal &= bench_model(bench, &training, scale->models[i], folder);
    free_table(&training);
    free_table(&bench->rows);
    return equal;
}

static int usage(void)
{
    fputs("usage: tree_peers [--smoke] [--version TEXT] xgboost|lightgbm LIBRARY\n", stderr);
    return 2;
}

int main(int argc, char **argv)
{
    struct bench bench = {.scale = &WHOLE};
    const char *version = NULL;
    int at = 1;
    for (; at < argc && argv[at][0] == '-'; at++) {
        if (strcmp(argv[at], "--smoke") == 0)
            bench.scale = &SMOKE;
        else if (strcmp(argv[at], "--version") == 0 && at + 1 < argc)
            version = argv[++at];
        else
            return usage();
    }
    if (at + 2 != argc) return usage();
    if (strcmp(argv[at], "xgboost") == 0) bench.peer = &peer_xgboost;
    if (strcmp(argv[at], "lightgbm") == 0) bench.peer = &peer_lightgbm;
    if (!bench.peer) return usage();
    setenv("OMP_NUM_THREADS", "1", 1);
    bench.peer->open(bench.peer, argv[at + 1]);
    if (version) snprintf(bench.peer->version, sizeof bench.peer->version, "%s", version);
    char folder[] = "/tmp/tree-peers-XXXXXX";
    if (!mkdtemp(folder)) peer_fail(folder, "cannot be made");
    bool equal = bench_all(&bench, folder);
    rmdir(folder);
    if (!equal) fputs("tree_peers: margins differ\n", stderr);
    return equal ? 0 : 1;
}
