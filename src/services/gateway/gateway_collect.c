/* SPDX-License-Identifier: Apache-2.0 */
/* Choices and parts are few and lie sorted, by choice, texts before calls, by index. What each
 * event repeats (id, model, usage) is kept once. */
#include "services/gateway/gateway_collect.h"

#include "services/gateway/gateway_work.h"

enum {
    NAMES_MAX = 1 << 20, /* bytes of all that is kept besides texts */
    COUNTS_MAX = 64,     /* members of Anthropic's usage */
};

void ig_gateway_collector_init(struct ig_gateway_collector *collector, enum ig_gateway_events kind,
                               size_t max_bytes)
{
    *collector = (struct ig_gateway_collector){.kind = kind, .max_bytes = max_bytes};
    ig_arena_init(&collector->arena, 4096, NAMES_MAX);
    ig_buf_init(&collector->usage, max_bytes);
}

void ig_gateway_collector_deinit(struct ig_gateway_collector *collector)
{
    for (size_t i = 0; i < collector->parts_count; i++) ig_buf_deinit(&collector->parts[i]->text);
    ig_buf_deinit(&collector->usage);
    ig_arena_deinit(&collector->arena);
}

/* ---- keeping ---- */

static void keep(struct ig_gateway_collector *collector, struct ig_str *kept, struct ig_str text)
{
    if (!text.ptr || (kept->ptr && ig_str_eq(*kept, text))) return;
    *kept = ig_arena_dup(&collector->arena, text);
    if (!kept->ptr) collector->lost = true;
}

static void add_text(struct ig_gateway_collector *collector, struct ig_gateway_part *part,
                     struct ig_str text)
{
    if (!part || !text.len) return;
    collector->bytes += text.len;
    if (collector->bytes <= collector->max_bytes) ig_buf_add_str(&part->text, text);
    if (collector->bytes > collector->max_bytes || part->text.overflowed) collector->lost = true;
}

static struct ig_gateway_choice *find_choice(struct ig_gateway_collector *collector, int64_t index)
{
    size_t at = collector->choices_count;
    while (at && collector->choices[at - 1].index > index) at--;
    if (at && collector->choices[at - 1].index == index) return &collector->choices[at - 1];
    if (collector->choices_count == IG_GATEWAY_CHOICES_MAX) {
        collector->lost = true;
        return NULL;
    }
    struct ig_gateway_choice *choice = &collector->choices[at];
    memmove(choice + 1, choice, (collector->choices_count++ - at) * sizeof *choice);
    *choice = (struct ig_gateway_choice){.index = index};
    return choice;
}

static int compare(const struct ig_gateway_part *a, const struct ig_gateway_part *b)
{
    if (a->choice != b->choice) return a->choice < b->choice ? -1 : 1;
    if (a->is_call != b->is_call) return a->is_call ? 1 : -1;
    return a->index < b->index ? -1 : a->index > b->index;
}

/* The part like that, made where there is none; NULL: there are too many. */
static struct ig_gateway_part *find_part(struct ig_gateway_collector *collector,
                                         struct ig_gateway_part like)
{
    size_t at = collector->parts_count;
    while (at && compare(collector->parts[at - 1], &like) > 0) at--;
    if (at && compare(collector->parts[at - 1], &like) == 0) return collector->parts[at - 1];
    struct ig_gateway_part *part = collector->parts_count < IG_GATEWAY_PARTS_MAX
                                       ? ig_arena_alloc(&collector->arena, sizeof *part)
                                       : NULL;
    if (!part) {
        collector->lost = true;
        return NULL;
    }
    *part = like;
    ig_buf_init(&part->text, collector->max_bytes);
    memmove(&collector->parts[at + 1], &collector->parts[at],
            (collector->parts_count++ - at) * sizeof(void *));
    collector->parts[at] = part;
    return part;
}

/* An object. */
static void keep_usage(struct ig_gateway_collector *collector, struct ig_str json)
{
    if (!json.len || json.ptr[0] != '{') return;
    ig_buf_reset(&collector->usage);
    ig_buf_add_str(&collector->usage, json);
    if (collector->usage.overflowed) collector->lost = true;
}

/* ---- objects in objects ---- */

/* Empty where it is none. */
static struct ig_gateway_object object_of(struct ig_str json, struct ig_arena *scratch)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_gateway_object out = {NULL, 0};
    if (!json.ptr || ig_gateway_object_read(&out, json, scratch, &err) != IG_OK)
        return (struct ig_gateway_object){NULL, 0};
    return out;
}

static struct ig_gateway_object object_in(const struct ig_gateway_object *object, const char *name,
                                          struct ig_arena *scratch)
{
    return object_of(ig_gateway_get(object, name), scratch);
}

static struct ig_gateway_array array_in(const struct ig_gateway_object *object, const char *name,
                                        struct ig_arena *scratch)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_gateway_array out = {NULL, 0};
    struct ig_str json = ig_gateway_get(object, name);
    if (!json.ptr || ig_gateway_array_read(&out, json, scratch, &err) != IG_OK)
        return (struct ig_gateway_array){NULL, 0};
    return out;
}

static int64_t index_of(const struct ig_gateway_object *object, size_t place)
{
    int64_t index = ig_gateway_get_count(object, "index");
    return index < 0 ? (int64_t)place : index;
}

/* ---- OpenAI ---- */

static void add_tool_call(struct ig_gateway_collector *collector, int64_t choice,
                          const struct ig_gateway_object *call, size_t place,
                          struct ig_arena *scratch)
{
    const struct ig_gateway_object function = object_in(call, "function", scratch);
    struct ig_gateway_part *part = find_part(
        collector, (struct ig_gateway_part){
                       .choice = choice, .index = index_of(call, place), .is_call = true});
    if (!part) return;
    keep(collector, &part->id, ig_gateway_get_text(call, "id", scratch));
    keep(collector, &part->type, ig_gateway_get_text(call, "type", scratch));
    keep(collector, &part->name, ig_gateway_get_text(&function, "name", scratch));
    add_text(collector, part, ig_gateway_get_text(&function, "arguments", scratch));
}

static void add_choice(struct ig_gateway_collector *collector, const struct ig_gateway_object *told,
                       size_t place, struct ig_arena *scratch)
{
    int64_t index = index_of(told, place);
    struct ig_gateway_choice *choice = find_choice(collector, index);
    const struct ig_gateway_object delta = object_in(told, "delta", scratch);
    const struct ig_gateway_array calls = array_in(&delta, "tool_calls", scratch);
    struct ig_str content = ig_gateway_get_text(&delta, "content", scratch);
    if (!choice) return;
    keep(collector, &choice->finish, ig_gateway_get_text(told, "finish_reason", scratch));
    if (!choice->role.ptr)
        keep(collector, &choice->role, ig_gateway_get_text(&delta, "role", scratch));
    if (content.len)
        add_text(collector, find_part(collector, (struct ig_gateway_part){.choice = index}),
                 content);
    for (size_t i = 0; i < calls.count; i++) {
        const struct ig_gateway_object call = object_of(calls.items[i], scratch);
        if (call.count) add_tool_call(collector, index, &call, i, scratch);
    }
}

static void add_chat(struct ig_gateway_collector *collector, const struct ig_gateway_object *event,
                     struct ig_arena *scratch)
{
    const struct ig_gateway_array choices = array_in(event, "choices", scratch);
    keep(collector, &collector->id, ig_gateway_get_text(event, "id", scratch));
    keep(collector, &collector->model, ig_gateway_get_text(event, "model", scratch));
    keep(collector, &collector->created, ig_gateway_get(event, "created"));
    keep_usage(collector, ig_gateway_get(event, "usage"));
    for (size_t i = 0; i < choices.count; i++) {
        const struct ig_gateway_object choice = object_of(choices.items[i], scratch);
        if (choice.count) add_choice(collector, &choice, i, scratch);
    }
}

/* The last event has the answer. */
static void add_response(struct ig_gateway_collector *collector,
                         const struct ig_gateway_object *event, struct ig_arena *scratch)
{
    if (ig_str_is(ig_gateway_get_text(event, "type", scratch), "response.completed"))
        keep_usage(collector, ig_gateway_get(event, "response"));
}

/* ---- Anthropic ---- */

/* What is told later counts, member by member. */
static void merge_usage(struct ig_gateway_collector *collector,
                        const struct ig_gateway_object *told, struct ig_arena *scratch)
{
    const struct ig_gateway_object before = object_of(
        collector->usage.len ? ig_buf_view(&collector->usage) : (struct ig_str){NULL, 0}, scratch);
    struct ig_json_out out;
    struct ig_buf merged;
    if (!told->count || before.count + told->count > COUNTS_MAX) return;
    ig_buf_init(&merged, collector->max_bytes);
    ig_json_out_init(&out, &merged);
    ig_json_out_object(&out);
    for (size_t i = 0; i < before.count + told->count; i++) {
        const struct ig_gateway_member *member =
            i < before.count ? &before.items[i] : &told->items[i - before.count];
        bool replaced = false;
        for (size_t j = i < before.count ? 0 : i - before.count + 1; j < told->count; j++)
            if (ig_str_eq(told->items[j].name, member->name) &&
                !ig_str_is(told->items[j].value, "null"))
                replaced = true;
        if (replaced || ig_str_is(member->value, "null")) continue;
        ig_json_out_key(&out, member->name);
        ig_json_out_raw(&out, member->value);
    }
    ig_json_out_object_end(&out);
    keep_usage(collector, ig_buf_view(&merged));
    ig_buf_deinit(&merged);
}

static void open_block(struct ig_gateway_collector *collector,
                       const struct ig_gateway_object *event, struct ig_arena *scratch)
{
    const struct ig_gateway_object block = object_in(event, "content_block", scratch);
    bool is_call = ig_str_is(ig_gateway_get_text(&block, "type", scratch), "tool_use");
    /* Blocks stand in the order of their index, texts and calls alike. */
    const struct ig_gateway_part like = {.choice = index_of(event, 0), .is_call = is_call};
    struct ig_gateway_part *part = find_part(collector, like);
    if (!part) return;
    keep(collector, &part->id, ig_gateway_get_text(&block, "id", scratch));
    keep(collector, &part->name, ig_gateway_get_text(&block, "name", scratch));
    if (!is_call) add_text(collector, part, ig_gateway_get_text(&block, "text", scratch));
}

static void add_to_block(struct ig_gateway_collector *collector,
                         const struct ig_gateway_object *event, struct ig_arena *scratch)
{
    const struct ig_gateway_object delta = object_in(event, "delta", scratch);
    struct ig_str type = ig_gateway_get_text(&delta, "type", scratch);
    bool text = ig_str_is(type, "text_delta");
    if (!text && !ig_str_is(type, "input_json_delta")) return;
    for (size_t i = 0; i < collector->parts_count; i++)
        if (collector->parts[i]->choice == index_of(event, 0) &&
            collector->parts[i]->is_call == !text)
            add_text(collector, collector->parts[i],
                     ig_gateway_get_text(&delta, text ? "text" : "partial_json", scratch));
}

static void add_anthropic(struct ig_gateway_collector *collector,
                          const struct ig_gateway_object *event, struct ig_arena *scratch)
{
    struct ig_str type = ig_gateway_get_text(event, "type", scratch);
    struct ig_gateway_choice *choice = find_choice(collector, 0);
    if (ig_str_is(type, "message_start")) {
        const struct ig_gateway_object message = object_in(event, "message", scratch);
        const struct ig_gateway_object usage = object_in(&message, "usage", scratch);
        keep(collector, &collector->id, ig_gateway_get_text(&message, "id", scratch));
        keep(collector, &collector->model, ig_gateway_get_text(&message, "model", scratch));
        keep(collector, &choice->role, ig_gateway_get_text(&message, "role", scratch));
        merge_usage(collector, &usage, scratch);
    } else if (ig_str_is(type, "content_block_start")) {
        open_block(collector, event, scratch);
    } else if (ig_str_is(type, "content_block_delta")) {
        add_to_block(collector, event, scratch);
    } else if (ig_str_is(type, "message_delta")) {
        const struct ig_gateway_object delta = object_in(event, "delta", scratch);
        const struct ig_gateway_object usage = object_in(event, "usage", scratch);
        keep(collector, &choice->finish, ig_gateway_get_text(&delta, "stop_reason", scratch));
        keep(collector, &collector->stop, ig_gateway_get(&delta, "stop_sequence"));
        merge_usage(collector, &usage, scratch);
    }
}

/* ---- Gemini ---- */

static void add_gemini_part(struct ig_gateway_collector *collector, int64_t choice,
                            const struct ig_gateway_object *told, struct ig_arena *scratch)
{
    struct ig_str text = ig_gateway_get_text(told, "text", scratch);
    struct ig_str call = ig_gateway_get(told, "functionCall");
    struct ig_gateway_part like = {.choice = choice};
    if (!text.ptr && call.ptr)
        like = (struct ig_gateway_part){
            .choice = choice, .index = (int64_t)collector->parts_count, .is_call = true};
    if (text.len || like.is_call)
        add_text(collector, find_part(collector, like), like.is_call ? call : text);
}

static void add_candidate(struct ig_gateway_collector *collector,
                          const struct ig_gateway_object *told, size_t place,
                          struct ig_arena *scratch)
{
    int64_t index = index_of(told, place);
    struct ig_gateway_choice *choice = find_choice(collector, index);
    const struct ig_gateway_object content = object_in(told, "content", scratch);
    const struct ig_gateway_array parts = array_in(&content, "parts", scratch);
    if (!choice) return;
    keep(collector, &choice->role, ig_gateway_get_text(&content, "role", scratch));
    keep(collector, &choice->finish, ig_gateway_get_text(told, "finishReason", scratch));
    for (size_t i = 0; i < parts.count; i++) {
        const struct ig_gateway_object part = object_of(parts.items[i], scratch);
        if (part.count) add_gemini_part(collector, index, &part, scratch);
    }
}

static void add_gemini(struct ig_gateway_collector *collector,
                       const struct ig_gateway_object *event, struct ig_arena *scratch)
{
    const struct ig_gateway_array candidates = array_in(event, "candidates", scratch);
    keep_usage(collector, ig_gateway_get(event, "usageMetadata"));
    for (size_t i = 0; i < candidates.count; i++) {
        const struct ig_gateway_object candidate = object_of(candidates.items[i], scratch);
        if (candidate.count) add_candidate(collector, &candidate, i, scratch);
    }
}

void ig_gateway_collect(struct ig_gateway_collector *collector,
                        const struct ig_gateway_object *event, struct ig_arena *scratch)
{
    static void (*const ADD[])(struct ig_gateway_collector *, const struct ig_gateway_object *,
                               struct ig_arena *) = {[IG_GATEWAY_EVENTS_CHAT] = add_chat,
                                                     [IG_GATEWAY_EVENTS_RESPONSES] = add_response,
                                                     [IG_GATEWAY_EVENTS_ANTHROPIC] = add_anthropic,
                                                     [IG_GATEWAY_EVENTS_GEMINI] = add_gemini};
    if (!collector->lost) ADD[collector->kind](collector, event, scratch);
}

/* ---- what it came to ---- */

static void write_tool_call(struct ig_json_out *out, const struct ig_gateway_part *part)
{
    ig_json_out_object(out);
    ig_gateway_kv_text(out, "id", part->id);
    ig_json_out_kv_str(out, "type", part->type.ptr ? part->type : IG_STR("function"));
    ig_json_out_key(out, IG_STR("function"));
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "name", part->name.ptr ? part->name : IG_STR(""));
    ig_json_out_kv_str(out, "arguments", ig_buf_view(&part->text));
    ig_json_out_object_end(out);
    ig_json_out_object_end(out);
}

static void write_message(struct ig_json_out *out, const struct ig_gateway_collector *collector,
                          const struct ig_gateway_choice *choice)
{
    struct ig_str content = {NULL, 0};
    bool calls = false;
    for (size_t i = 0; i < collector->parts_count; i++)
        if (collector->parts[i]->choice == choice->index && !collector->parts[i]->is_call)
            content = ig_buf_view(&collector->parts[i]->text);
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "role", choice->role.ptr ? choice->role : IG_STR("assistant"));
    ig_gateway_kv_text(out, "content", content);
    for (size_t i = 0; i < collector->parts_count; i++) {
        const struct ig_gateway_part *part = collector->parts[i];
        if (part->choice != choice->index || !part->is_call) continue;
        if (!calls) {
            ig_json_out_key(out, IG_STR("tool_calls"));
            ig_json_out_array(out);
        }
        calls = true;
        write_tool_call(out, part);
    }
    if (calls) ig_json_out_array_end(out);
    ig_json_out_object_end(out);
}

static void write_chat(struct ig_json_out *out, const struct ig_gateway_collector *collector)
{
    ig_gateway_kv_text(out, "id", collector->id);
    ig_json_out_kv_str(out, "object", IG_STR("chat.completion"));
    ig_gateway_kv_raw(out, "created", collector->created);
    ig_gateway_kv_text(out, "model", collector->model);
    ig_json_out_key(out, IG_STR("choices"));
    ig_json_out_array(out);
    for (size_t i = 0; i < collector->choices_count; i++) {
        const struct ig_gateway_choice *choice = &collector->choices[i];
        ig_json_out_object(out);
        ig_json_out_kv_i64(out, "index", choice->index);
        ig_json_out_key(out, IG_STR("message"));
        write_message(out, collector, choice);
        ig_json_out_kv_str(out, "finish_reason",
                           choice->finish.ptr ? choice->finish : IG_STR("stop"));
        ig_json_out_object_end(out);
    }
    ig_json_out_array_end(out);
    if (collector->usage.len) ig_gateway_kv_raw(out, "usage", ig_buf_view(&collector->usage));
}

/* The input of a tool came as text, which may be cut or no JSON. */
static void write_block(struct ig_json_out *out, const struct ig_gateway_part *part,
                        struct ig_arena *scratch)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_gateway_object input;
    struct ig_str text = ig_buf_view(&part->text);
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "type", part->is_call ? IG_STR("tool_use") : IG_STR("text"));
    if (!part->is_call) {
        ig_json_out_kv_str(out, "text", text);
    } else {
        bool good = ig_gateway_object_read(&input, text, scratch, &err) == IG_OK;
        ig_gateway_kv_text(out, "id", part->id);
        ig_gateway_kv_text(out, "name", part->name);
        ig_gateway_kv_raw(out, "input", good ? text : IG_STR("{}"));
    }
    ig_json_out_object_end(out);
}

static void write_anthropic(struct ig_json_out *out, const struct ig_gateway_collector *collector,
                            struct ig_arena *scratch)
{
    const struct ig_gateway_choice *choice = &collector->choices[0];
    ig_gateway_kv_text(out, "id", collector->id);
    ig_json_out_kv_str(out, "type", IG_STR("message"));
    ig_json_out_kv_str(out, "role", choice->role.ptr ? choice->role : IG_STR("assistant"));
    ig_json_out_key(out, IG_STR("content"));
    ig_json_out_array(out);
    for (size_t i = 0; i < collector->parts_count; i++)
        write_block(out, collector->parts[i], scratch);
    ig_json_out_array_end(out);
    ig_gateway_kv_text(out, "model", collector->model);
    ig_gateway_kv_text(out, "stop_reason", choice->finish);
    ig_gateway_kv_raw(out, "stop_sequence", collector->stop);
    if (collector->usage.len) ig_gateway_kv_raw(out, "usage", ig_buf_view(&collector->usage));
}

static void write_candidate(struct ig_json_out *out, const struct ig_gateway_collector *collector,
                            const struct ig_gateway_choice *choice)
{
    ig_json_out_object(out);
    ig_json_out_key(out, IG_STR("content"));
    ig_json_out_object(out);
    ig_json_out_key(out, IG_STR("parts"));
    ig_json_out_array(out);
    for (size_t i = 0; i < collector->parts_count; i++) {
        const struct ig_gateway_part *part = collector->parts[i];
        if (part->choice != choice->index) continue;
        ig_json_out_object(out);
        if (part->is_call)
            ig_gateway_kv_raw(out, "functionCall", ig_buf_view(&part->text));
        else
            ig_json_out_kv_str(out, "text", ig_buf_view(&part->text));
        ig_json_out_object_end(out);
    }
    ig_json_out_array_end(out);
    ig_json_out_kv_str(out, "role", choice->role.ptr ? choice->role : IG_STR("model"));
    ig_json_out_object_end(out);
    ig_gateway_kv_text(out, "finishReason", choice->finish);
    ig_json_out_kv_i64(out, "index", choice->index);
    ig_json_out_object_end(out);
}

static void write_gemini(struct ig_json_out *out, const struct ig_gateway_collector *collector)
{
    ig_json_out_key(out, IG_STR("candidates"));
    ig_json_out_array(out);
    for (size_t i = 0; i < collector->choices_count; i++)
        write_candidate(out, collector, &collector->choices[i]);
    ig_json_out_array_end(out);
    if (collector->usage.len)
        ig_gateway_kv_raw(out, "usageMetadata", ig_buf_view(&collector->usage));
}

void ig_gateway_collector_write(struct ig_buf *out, const struct ig_gateway_collector *collector,
                                struct ig_arena *scratch)
{
    struct ig_json_out writer;
    if (collector->lost) return;
    if (collector->kind == IG_GATEWAY_EVENTS_RESPONSES) {
        ig_buf_add_str(out, ig_buf_view(&collector->usage));
        return;
    }
    if (!collector->choices_count) return;
    ig_json_out_init(&writer, out);
    ig_json_out_object(&writer);
    if (collector->kind == IG_GATEWAY_EVENTS_CHAT)
        write_chat(&writer, collector);
    else if (collector->kind == IG_GATEWAY_EVENTS_ANTHROPIC)
        write_anthropic(&writer, collector, scratch);
    else
        write_gemini(&writer, collector);
    ig_json_out_object_end(&writer);
}
