/* SPDX-License-Identifier: Apache-2.0 */
/* The log's lessons. Arms are found by a text key "deployment/node=arm@tag"; answers that
 * wait for rewards lie in a table of four-way buckets by a hash of their request id, in which the
 * oldest gives way. `lock` guards everything; the log's writer thread is the one that adds. */
#include "services/deploy/learning.h"

#include "base/map.h"
#include "base/mem.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum {
    KEY_MAX = 512,       /* a name and a record's longest text */
    ANSWER_ARMS_MAX = 4, /* the outermost */
    WAYS = 4,
    NODES_MAX = 1024,
    UNIT_SLOTS = 2 * IG_LEARNING_UNITS_MAX,
};

struct node {
    struct ig_shares_test shares;
    char arms[IG_SHARES_MAX][IG_NAME_SIZE]; /* as they were first seen */
    uint32_t arms_count;
    uint64_t units_count;
    uint64_t *units; /* a set of hashes, 0: free */
};

struct deployment {
    char name[IG_NAME_SIZE];
    char metrics[IG_LEARNING_METRICS_MAX][IG_NAME_SIZE];
    size_t metrics_count;
    struct ig_learned_totals totals;
};

struct answer {
    uint64_t id; /* hash of the request's; 0: free */
    struct deployment *deployment;
    struct ig_learned_arm *arms[ANSWER_ARMS_MAX];
    int64_t at_ms;
    uint32_t rewarded; /* bits of the deployment's metrics */
    uint32_t arms_count;
};

struct ig_learning {
    pthread_mutex_t lock;
    struct ig_map arms, nodes, mirrors, deployments;
    struct answer *answers;
    unsigned char key[16];
};

static int shown(struct ig_str text)
{
    return (int)(text.len < IG_NAME_SIZE ? text.len : IG_NAME_SIZE - 1);
}

/* A value of `size` bytes under the key, made zeroed when there is none; NULL when full. */
static void *obtain(struct ig_map *map, struct ig_str key, size_t size)
{
    void *found = ig_map_get(map, key);
    if (found) return found;
    found = ig_zalloc(size);
    if (found && !ig_map_put(map, key, found)) {
        ig_free(found);
        return NULL;
    }
    return found;
}

/* Of a node, or of an arm as the log writes it. */
static struct ig_str key_of(char text[KEY_MAX], struct ig_str deployment, struct ig_str what)
{
    int length = snprintf(text, KEY_MAX, "%.*s/%.*s", shown(deployment), deployment.ptr,
                          (int)what.len, what.ptr);
    return (struct ig_str){text, (size_t)length};
}

static struct deployment *deployment_of(struct ig_learning *learning, struct ig_str name)
{
    struct deployment *deployment = obtain(&learning->deployments, name, sizeof *deployment);
    if (deployment && !deployment->name[0])
        snprintf(deployment->name, sizeof deployment->name, "%.*s", shown(name), name.ptr);
    return deployment;
}

/* ---- answers ---- */

/* True when the unit is new and there is room for it. */
static bool add_unit(struct node *node, uint64_t unit)
{
    if (!unit) unit = 1;
    if (!node->units) node->units = ig_zalloc_array(UNIT_SLOTS, sizeof *node->units);
    if (!node->units || node->units_count == IG_LEARNING_UNITS_MAX) return false;
    size_t at = unit & (UNIT_SLOTS - 1);
    for (; node->units[at]; at = (at + 1) & (UNIT_SLOTS - 1))
        if (node->units[at] == unit) return false;
    node->units[at] = unit;
    node->units_count++;
    return true;
}

/* One more kind than was seen leaves room for an arm that has not come yet. */
static void count_share(struct node *node, struct ig_str arm, double chance, uint64_t unit)
{
    uint32_t at = 0;
    if (!(chance > 0) || !add_unit(node, unit)) return;
    while (at < node->arms_count && !ig_str_is(arm, node->arms[at])) at++;
    if (at + 1 >= IG_SHARES_MAX) return;
    if (at == node->arms_count)
        snprintf(node->arms[node->arms_count++], IG_NAME_SIZE, "%.*s", shown(arm), arm.ptr);
    ig_shares_test_add(&node->shares, at, node->arms_count + 1, chance);
}

static void count_answer(struct ig_learned_arm *arm, const struct ig_decision *decision)
{
    if (!arm->first_ms) arm->first_ms = decision->at_ms;
    arm->last_ms = decision->at_ms;
    arm->answers++;
    arm->rows += decision->rows;
    if (decision->status >= 500) {
        arm->errors++;
        return;
    }
    double seconds = (double)decision->latency_ns * 1e-9;
    ig_moments_add(&arm->latency, seconds);
    ig_sketch_add(&arm->latencies, seconds);
    ig_sketch_add(&arm->scores, decision->value);
}

static uint64_t id_of(const struct ig_learning *learning, struct ig_str request_id)
{
    uint64_t id = ig_siphash(learning->key, request_id.ptr, request_id.len);
    return id ? id : 1;
}

static struct answer *bucket_of(const struct ig_learning *learning, uint64_t id)
{
    return &learning->answers[(id & (IG_LEARNING_ANSWERS / WAYS - 1)) * WAYS];
}

static void keep_answer(struct ig_learning *learning, const struct answer *answer)
{
    struct answer *bucket = bucket_of(learning, answer->id), *oldest = bucket;
    for (int i = 1; i < WAYS && oldest->id; i++)
        if (!bucket[i].id || bucket[i].at_ms < oldest->at_ms) oldest = &bucket[i];
    *oldest = *answer;
}

/* One "node=arm@tag:chance". */
static struct ig_learned_arm *learn_arm(struct ig_learning *learning,
                                        const struct ig_decision *decision, struct ig_str text)
{
    char key[KEY_MAX];
    double expected = 0;
    struct ig_str chance = text, arm = ig_str_cut(&chance, ':'), name = arm;
    struct ig_learned_arm *found =
        obtain(&learning->arms, key_of(key, decision->deployment, arm), sizeof *found);
    struct ig_str node = ig_str_cut(&name, '=');
    struct node *shares =
        obtain(&learning->nodes, key_of(key, decision->deployment, node), sizeof *shares);
    ig_str_to_f64(chance, &expected);
    if (shares) count_share(shares, ig_str_cut(&name, '@'), expected, decision->unit);
    if (found) count_answer(found, decision);
    return found;
}

/* The batches of that size, in order; NULL when there are too many sizes. */
static struct ig_learned_batch *batch_of(struct ig_learned_totals *totals, uint32_t rows)
{
    struct ig_learned_batch *batches = totals->batches;
    size_t at = 0, count = totals->batches_count;
    while (at < count && batches[at].rows < rows) at++;
    if (at < count && batches[at].rows == rows) return &batches[at];
    if (count == IG_LEARNING_BATCHES_MAX) return NULL;
    memmove(&batches[at + 1], &batches[at], (count - at) * sizeof *batches);
    batches[at] = (struct ig_learned_batch){.rows = rows};
    totals->batches_count++;
    return &batches[at];
}

static void count_batch(struct ig_learned_totals *totals, const struct ig_decision *decision)
{
    struct ig_learned_batch *batch = batch_of(totals, decision->rows);
    uint64_t known = decision->before_ns + decision->compute_ns;
    if (!batch) return;
    batch->answers++;
    batch->before_ns += decision->before_ns;
    batch->compute_ns += decision->compute_ns;
    batch->after_ns += decision->latency_ns > known ? decision->latency_ns - known : 0;
}

static void count_total(struct ig_learned_totals *totals, const struct ig_decision *decision)
{
    totals->last_ms = decision->at_ms;
    if (decision->status >= 500) {
        totals->errors++;
        totals->error_ns += decision->latency_ns;
        return;
    }
    totals->answers++;
    totals->rows += decision->rows;
    totals->latency_ns += decision->latency_ns;
    totals->before_ns += decision->before_ns;
    totals->compute_ns += decision->compute_ns;
    count_batch(totals, decision);
}

static void learn_answer(struct ig_learning *learning, const struct ig_decision *decision)
{
    struct answer answer = {.id = id_of(learning, decision->request_id),
                            .deployment = deployment_of(learning, decision->deployment),
                            .at_ms = decision->at_ms};
    if (answer.deployment) count_total(&answer.deployment->totals, decision);
    for (struct ig_str rest = decision->arms; rest.len;) {
        struct ig_learned_arm *arm = learn_arm(learning, decision, ig_str_cut(&rest, ';'));
        if (arm && answer.arms_count < ANSWER_ARMS_MAX) answer.arms[answer.arms_count++] = arm;
    }
    if (answer.arms_count && answer.deployment) keep_answer(learning, &answer);
}

/* ---- rewards ---- */

/* Place of the metric among the deployment's; IG_LEARNING_METRICS_MAX: no room. */
static size_t metric_at(struct deployment *deployment, struct ig_str metric, bool add)
{
    size_t at = 0;
    while (at < deployment->metrics_count && !ig_str_is(metric, deployment->metrics[at])) at++;
    if (add && at == deployment->metrics_count && at < IG_LEARNING_METRICS_MAX)
        snprintf(deployment->metrics[deployment->metrics_count++], IG_NAME_SIZE, "%.*s",
                 shown(metric), metric.ptr);
    return at;
}

static void count_reward(struct ig_learned_arm *arm, const struct ig_decision *reward)
{
    size_t at = 0;
    while (at < arm->metrics_count && !ig_str_is(reward->metric, arm->metrics[at].name)) at++;
    if (at == IG_LEARNING_METRICS_MAX) return;
    struct ig_learned_metric *metric = &arm->metrics[at];
    if (at == arm->metrics_count) {
        snprintf(metric->name, sizeof metric->name, "%.*s", shown(reward->metric),
                 reward->metric.ptr);
        metric->conversions = true;
        arm->metrics_count++;
    }
    metric->conversions = metric->conversions && (reward->value == 0 || reward->value == 1);
    ig_moments_add(&metric->rewards, reward->value);
}

static void learn_reward(struct ig_learning *learning, const struct ig_decision *reward)
{
    uint64_t id = id_of(learning, reward->request_id);
    struct answer *bucket = bucket_of(learning, id);
    if (!isfinite(reward->value)) return;
    for (int i = 0; i < WAYS; i++) {
        if (bucket[i].id != id) continue;
        size_t metric = metric_at(bucket[i].deployment, reward->metric, true);
        if (metric == IG_LEARNING_METRICS_MAX || bucket[i].rewarded & (1u << metric)) continue;
        bucket[i].rewarded |= 1u << metric;
        for (uint32_t a = 0; a < bucket[i].arms_count; a++) count_reward(bucket[i].arms[a], reward);
    }
}

enum ig_reward_match ig_learning_match(struct ig_learning *learning, struct ig_str request_id,
                                       struct ig_str metric, char *deployment)
{
    enum ig_reward_match match = IG_REWARD_UNKNOWN;
    pthread_mutex_lock(&learning->lock);
    uint64_t id = id_of(learning, request_id);
    struct answer *bucket = bucket_of(learning, id);
    for (int i = 0; i < WAYS; i++) {
        if (bucket[i].id != id) continue;
        size_t at = metric_at(bucket[i].deployment, metric, false);
        enum ig_reward_match own = at == IG_LEARNING_METRICS_MAX     ? IG_REWARD_TOO_MANY_METRICS
                                   : bucket[i].rewarded & (1u << at) ? IG_REWARD_AGAIN
                                                                     : IG_REWARD_TAKEN;
        if (own > match) match = own;
        snprintf(deployment, IG_NAME_SIZE, "%s", bucket[i].deployment->name);
    }
    pthread_mutex_unlock(&learning->lock);
    return match;
}

/* ---- mirrors ---- */

static void learn_mirror(struct ig_learning *learning, const struct ig_decision *decision)
{
    char key[KEY_MAX];
    struct ig_learned_mirror *mirror = obtain(
        &learning->mirrors, key_of(key, decision->deployment, decision->arms), sizeof *mirror);
    if (!mirror) return;
    mirror->answers++;
    mirror->rows += decision->rows;
    if (decision->status >= 500) {
        mirror->failures++;
        return;
    }
    mirror->flips += decision->flips;
    ig_sketch_add(&mirror->differences, decision->value);
    ig_sketch_add(&mirror->latencies, (double)decision->latency_ns * 1e-9);
    ig_sketch_add(&mirror->primary_latencies, (double)decision->compute_ns * 1e-9);
}

void ig_learning_observe(void *context, const struct ig_decision *decision)
{
    struct ig_learning *learning = context;
    pthread_mutex_lock(&learning->lock);
    if (decision->kind == IG_DECISION_REWARD)
        learn_reward(learning, decision);
    else if (decision->kind == IG_DECISION_MIRROR)
        learn_mirror(learning, decision);
    else
        learn_answer(learning, decision);
    pthread_mutex_unlock(&learning->lock);
}

/* ---- reading ---- */

void ig_learning_totals(struct ig_learned_totals *out, struct ig_learning *learning,
                        struct ig_str deployment)
{
    pthread_mutex_lock(&learning->lock);
    const struct deployment *found = ig_map_get(&learning->deployments, deployment);
    *out = found ? found->totals : (struct ig_learned_totals){0};
    pthread_mutex_unlock(&learning->lock);
}

static const void *find_edge(const struct ig_map *map, const struct ig_routing *routing,
                             uint32_t node, uint32_t edge)
{
    char key[KEY_MAX], arm[IG_DECISION_ARMS_SIZE];
    size_t length = ig_routing_arm_text(arm, sizeof arm, routing, node, edge);
    return ig_map_get(map, key_of(key, ig_str_view(routing->name), (struct ig_str){arm, length}));
}

bool ig_learning_arm(struct ig_learned_arm *out, struct ig_learning *learning,
                     const struct ig_routing *routing, uint32_t node, uint32_t edge)
{
    pthread_mutex_lock(&learning->lock);
    const struct ig_learned_arm *found = find_edge(&learning->arms, routing, node, edge);
    if (found) *out = *found;
    pthread_mutex_unlock(&learning->lock);
    return found != NULL;
}

bool ig_learning_mirror(struct ig_learned_mirror *out, struct ig_learning *learning,
                        const struct ig_routing *routing, uint32_t node, uint32_t edge)
{
    pthread_mutex_lock(&learning->lock);
    const struct ig_learned_mirror *found = find_edge(&learning->mirrors, routing, node, edge);
    if (found) *out = *found;
    pthread_mutex_unlock(&learning->lock);
    return found != NULL;
}

double ig_learning_shares_p(struct ig_learning *learning, const struct ig_routing *routing,
                            uint32_t node, uint64_t *units)
{
    char key[KEY_MAX];
    double p = 1;
    *units = 0;
    pthread_mutex_lock(&learning->lock);
    const struct node *found = ig_map_get(
        &learning->nodes, key_of(key, ig_str_view(routing->name), routing->spec.nodes[node].name));
    if (found) {
        p = ig_shares_test_p(&found->shares);
        *units = found->shares.count;
    }
    pthread_mutex_unlock(&learning->lock);
    return p;
}

const struct ig_learned_metric *ig_learned_metric(const struct ig_learned_arm *arm,
                                                  struct ig_str name)
{
    for (size_t i = 0; i < arm->metrics_count; i++)
        if (ig_str_is(name, arm->metrics[i].name)) return &arm->metrics[i];
    return NULL;
}

/* ---- life ---- */

static bool replay(void *context, const struct ig_decision *decision)
{
    ig_learning_observe(context, decision);
    return true;
}

enum ig_code ig_learning_open(struct ig_learning **out, int dirfd, struct ig_err *err)
{
    struct ig_learning *learning = ig_zalloc(sizeof *learning);
    if (!learning) return ig_fail(err, IG_NO_MEMORY, "learning");
    pthread_mutex_init(&learning->lock, NULL);
    ig_map_init(&learning->arms, IG_LEARNING_ARMS_MAX);
    ig_map_init(&learning->mirrors, IG_LEARNING_ARMS_MAX);
    ig_map_init(&learning->nodes, NODES_MAX);
    ig_map_init(&learning->deployments, NODES_MAX);
    learning->answers = ig_zalloc_array(IG_LEARNING_ANSWERS, sizeof *learning->answers);
    if (!learning->answers)
        ig_fail(err, IG_NO_MEMORY, "learning");
    else
        ig_decision_log_read(dirfd, replay, learning, NULL, err);
    if (err->code != IG_OK) {
        ig_learning_close(learning);
        return err->code;
    }
    *out = learning;
    return IG_OK;
}

static void free_map(struct ig_map *map)
{
    size_t at = 0;
    struct ig_str key;
    void *value;
    while (ig_map_each(map, &at, &key, &value)) ig_free(value);
    ig_map_deinit(map);
}

void ig_learning_close(struct ig_learning *learning)
{
    size_t at = 0;
    struct ig_str key;
    void *value;
    if (!learning) return;
    while (ig_map_each(&learning->nodes, &at, &key, &value)) ig_free(((struct node *)value)->units);
    free_map(&learning->arms);
    free_map(&learning->nodes);
    free_map(&learning->mirrors);
    free_map(&learning->deployments);
    ig_free(learning->answers);
    pthread_mutex_destroy(&learning->lock);
    ig_free(learning);
}
