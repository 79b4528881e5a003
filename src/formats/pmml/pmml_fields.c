/* SPDX-License-Identifier: Apache-2.0 */
/* DataDictionary, MiningSchema, and derived fields that are a number times a field plus a number.
 */
#include "formats/pmml/pmml_priv.h"

#include <math.h>
#include <string.h>

enum { STEPS_MAX = 256 }; /* of an expression, so that derived fields which name each other end */

int32_t pmml_field_index(const struct pmml_reader *reader, struct ig_str name)
{
    return (int32_t)(uintptr_t)ig_map_get(&reader->field_by_name, name) - 1;
}

int32_t pmml_field_code(const struct pmml_field *field, struct ig_str value)
{
    return (int32_t)(uintptr_t)ig_map_get(&field->code_by_value, value) - 1;
}

int32_t pmml_class_index(const struct pmml_reader *reader, struct ig_str value)
{
    return (int32_t)(uintptr_t)ig_map_get(&reader->class_by_name, value) - 1;
}

/* The valid values of a DataField. Values that mean "missing" are those that we take so anyway. */
static bool read_values(struct pmml_reader *reader, const struct pmml_element *data,
                        struct ig_str **values, uint32_t *count)
{
    size_t all = 0;
    double number;
    const struct pmml_element *value = pmml_xml_child(data, "Value");
    for (const struct pmml_element *i = value; i; i = pmml_xml_next(i)) all++;
    *values = ig_arena_array(reader->scratch, all + 1, sizeof **values);
    if (!*values) return pmml_no_memory(reader);
    for (*count = 0; value; value = pmml_xml_next(value)) {
        struct ig_str text = pmml_xml_get(value, "value"),
                      property = pmml_xml_get(value, "property");
        bool missing = ig_str_is(property, "missing");
        if (missing && pmml_to_number(text, &number) && !isnan(number))
            return pmml_refuse(reader, value, "the value %.*s, which means missing",
                               IG_STR_ARGS(text));
        if (ig_str_is(property, "invalid")) return pmml_refuse(reader, value, "property invalid");
        if (!missing) (*values)[(*count)++] = text;
    }
    return true;
}

static bool index_values(struct pmml_reader *reader, const struct pmml_element *data,
                         struct pmml_field *field)
{
    ig_map_init(&field->code_by_value, (size_t)field->values_count + 1);
    for (uint32_t i = 0; i < field->values_count; i++) {
        if (ig_map_get(&field->code_by_value, field->values[i]))
            return pmml_fail(reader, data, "the value '%.*s' stands twice",
                             IG_STR_ARGS(field->values[i]));
        if (!ig_map_put(&field->code_by_value, field->values[i], (void *)(uintptr_t)(i + 1)))
            return pmml_no_memory(reader);
    }
    return true;
}

static bool read_classes(struct pmml_reader *reader, const struct pmml_element *data)
{
    if (!read_values(reader, data, &reader->classes, &reader->classes_count)) return false;
    for (uint32_t i = 0; i < reader->classes_count; i++)
        if (pmml_class_index(reader, reader->classes[i]) < 0 &&
            !ig_map_put(&reader->class_by_name, reader->classes[i], (void *)(uintptr_t)(i + 1)))
            return pmml_no_memory(reader);
    reader->shares =
        ig_arena_array(reader->scratch, reader->classes_count + (size_t)1, sizeof(double));
    return reader->shares || pmml_no_memory(reader);
}

static bool check_treatment(struct pmml_reader *reader, const struct pmml_element *mining)
{
    static const char *const invalid[4] = {"returnInvalid", "asIs", "asMissing"};
    static const char *const outliers[4] = {"asIs"};
    return pmml_expect(reader, mining, "invalidValueTreatment", invalid) &&
           pmml_expect(reader, mining, "outliers", outliers);
}

static bool read_treatment(struct pmml_reader *reader, const struct pmml_element *mining,
                           const struct pmml_element *data, struct pmml_field *field)
{
    double number;
    if (!check_treatment(reader, mining)) return false;
    field->invalid_is_missing =
        ig_str_is(pmml_xml_get(mining, "invalidValueTreatment"), "asMissing");
    if (field->invalid_is_missing && !field->categorical && pmml_xml_child(data, "Interval"))
        return pmml_refuse(reader, mining, "invalidValueTreatment asMissing of an Interval");
    field->replacement = pmml_xml_get(mining, "missingValueReplacement");
    if (!field->replacement.ptr) return true;
    if (field->categorical ? pmml_field_code(field, field->replacement) < 0
                           : !pmml_to_number(field->replacement, &number) || !isfinite(number))
        return pmml_fail(reader, mining, "missingValueReplacement '%.*s' is no value of the field",
                         IG_STR_ARGS(field->replacement));
    return true;
}

static bool read_field(struct pmml_reader *reader, const struct pmml_element *mining,
                       const struct pmml_element *data)
{
    static const char *const types[4] = {"continuous", "categorical", "ordinal"};
    struct pmml_field *field = &reader->fields[reader->fields_count];
    struct ig_str type = pmml_xml_get(data, "optype"), kind = pmml_xml_get(data, "dataType");
    if (!pmml_expect(reader, data, "optype", types)) return false;
    field->name = pmml_xml_get(data, "name");
    field->categorical = !ig_str_is(type, "continuous");
    field->is_float = ig_str_is(kind, "float");
    reader->fields_count++;
    if (!field->categorical && !field->is_float && !ig_str_is(kind, "double") &&
        !ig_str_is(kind, "integer"))
        return pmml_refuse(reader, data, "dataType '%.*s' of a continuous field",
                           IG_STR_ARGS(kind));
    if (!read_values(reader, data, &field->values, &field->values_count)) return false;
    if (field->categorical && !field->values_count)
        return pmml_refuse(reader, data, "a categorical field without its Values");
    if (!field->categorical) field->values_count = 0;
    if (!index_values(reader, data, field) || !read_treatment(reader, mining, data, field))
        return false;
    return ig_map_put(&reader->field_by_name, field->name,
                      (void *)(uintptr_t)reader->fields_count) ||
           pmml_no_memory(reader);
}

static const struct pmml_element *expression_of(const struct pmml_element *holder)
{
    const struct pmml_element *child = holder->first;
    while (pmml_xml_is(child, "Extension") || pmml_xml_is(child, "Value")) child = child->next;
    return child;
}

static bool add_derived(struct pmml_reader *reader, const struct pmml_element *element)
{
    struct ig_str name = pmml_xml_get(element, "name");
    struct pmml_derived *derived = ig_arena_zalloc(reader->scratch, sizeof *derived);
    if (!name.ptr) return pmml_fail(reader, element, "name is missing");
    if (!derived) return pmml_no_memory(reader);
    struct pmml_derived *known = ig_map_get(&reader->derived, name);
    if (known) { /* in another segment, or another model */
        if (!pmml_xml_equal(known->element, element)) known->other = element;
        return true;
    }
    *derived = (struct pmml_derived){.element = element, .expression = expression_of(element)};
    return ig_map_put(&reader->derived, name, derived) || pmml_no_memory(reader);
}

/* All DerivedFields of the document, whichever model they are local to. */
static bool read_derived(struct pmml_reader *reader, const struct pmml_element *root)
{
    const struct pmml_element *at = root;
    while (at) {
        if (pmml_xml_is(at, "DerivedField") && !add_derived(reader, at)) return false;
        if (at->first) {
            at = at->first;
            continue;
        }
        while (at && at != root && !at->next) at = at->parent;
        at = !at || at == root ? NULL : at->next;
    }
    return true;
}

bool pmml_read_fields(struct pmml_reader *reader, const struct pmml_element *root,
                      const struct pmml_element *model)
{
    static const char *const usages[4] = {"active", "target", "predicted", "supplementary"};
    const struct pmml_element *dictionary = pmml_xml_child(root, "DataDictionary");
    const struct pmml_element *schema = pmml_xml_child(model, "MiningSchema");
    size_t count = 0;
    const struct pmml_element *mining = pmml_xml_child(schema, "MiningField");
    for (const struct pmml_element *i = mining; i; i = pmml_xml_next(i)) count++;
    if (!count || count > PMML_FIELDS_MAX)
        return pmml_fail(reader, model, "MiningSchema: %zu fields, expected 1 to %d", count,
                         PMML_FIELDS_MAX);
    reader->fields = ig_arena_array(reader->scratch, count, sizeof *reader->fields);
    if (!reader->fields) return pmml_no_memory(reader);
    struct ig_map data;
    bool good = true;
    ig_map_init(&data, PMML_FIELDS_MAX);
    for (const struct pmml_element *i = pmml_xml_child(dictionary, "DataField"); good && i;
         i = pmml_xml_next(i))
        good = ig_map_put(&data, pmml_xml_get(i, "name"), (void *)(uintptr_t)i) ||
               pmml_no_memory(reader);
    for (; good && mining; mining = pmml_xml_next(mining)) {
        struct ig_str name = pmml_xml_get(mining, "name"),
                      usage = pmml_xml_get(mining, "usageType");
        const struct pmml_element *own = ig_map_get(&data, name);
        good = pmml_expect(reader, mining, "usageType", usages);
        bool active = !usage.len || ig_str_is(usage, "active");
        if (!good || (!active && !own) || ig_str_is(usage, "supplementary")) continue;
        if (!own) {
            good =
                pmml_fail(reader, mining, "'%.*s' is not in the DataDictionary", IG_STR_ARGS(name));
        } else if (active) {
            good = pmml_field_index(reader, name) < 0
                       ? read_field(reader, mining, own)
                       : pmml_fail(reader, mining, "'%.*s' stands twice", IG_STR_ARGS(name));
        } else {
            reader->target = name;
            good = read_classes(reader, own);
        }
    }
    ig_map_deinit(&data);
    return good && read_derived(reader, root);
}

static bool is_unlike(struct pmml_reader *reader, const struct pmml_element *mining,
                      const char *what)
{
    return pmml_refuse(reader, mining, "%s '%.*s' of '%.*s', unlike the top MiningSchema,", what,
                       IG_STR_ARGS(pmml_xml_get(mining, what)),
                       IG_STR_ARGS(pmml_xml_get(mining, "name")));
}

/* Missing and invalid values are replaced once, as the top schema says: the inner one must not mean
 * more than that. asIs and returnInvalid do nothing to a value. */
static bool check_inner(struct pmml_reader *reader, const struct pmml_element *mining)
{
    int32_t index = pmml_field_index(reader, pmml_xml_get(mining, "name"));
    const struct pmml_field *field = index < 0 ? NULL : &reader->fields[index];
    struct ig_str replacement = pmml_xml_get(mining, "missingValueReplacement");
    struct ig_str top = field ? field->replacement : (struct ig_str){0};
    double own, other;
    if (!check_treatment(reader, mining)) return false;
    if (ig_str_is(pmml_xml_get(mining, "invalidValueTreatment"), "asMissing") &&
        !(field && field->invalid_is_missing))
        return is_unlike(reader, mining, "invalidValueTreatment");
    if (!replacement.ptr || (top.ptr && ig_str_eq(replacement, top)) ||
        (field && !field->categorical && pmml_to_number(replacement, &own) &&
         pmml_to_number(top, &other) && own == other))
        return true;
    return is_unlike(reader, mining, "missingValueReplacement");
}

bool pmml_check_schema(struct pmml_reader *reader, const struct pmml_element *model)
{
    const struct pmml_element *mining =
        pmml_xml_child(pmml_xml_child(model, "MiningSchema"), "MiningField");
    for (; mining; mining = pmml_xml_next(mining)) {
        struct ig_str usage = pmml_xml_get(mining, "usageType");
        bool active = !usage.ptr || ig_str_is(usage, "active");
        if (active && !check_inner(reader, mining)) return false;
    }
    return true;
}

/* ---- expressions ---- */

/* The number of a Constant. */
static bool constant_of(const struct pmml_element *element, double *out)
{
    return element && pmml_xml_is(element, "Constant") && pmml_to_number(element->text, out) &&
           isfinite(*out);
}

/* One step inwards: what remains is the argument that is not a constant. */
static const struct pmml_element *
apply_step(struct pmml_reader *reader, const struct pmml_element *apply, struct pmml_affine *out)
{
    struct ig_str function = pmml_xml_get(apply, "function");
    const struct pmml_element *left = apply->first, *right = left ? left->next : NULL;
    double value;
    bool first = constant_of(left, &value);
    if (!right || right->next || (!first && !constant_of(right, &value))) {
        pmml_refuse(reader, apply, "function '%.*s' of other than a field and a constant",
                    IG_STR_ARGS(function));
        return NULL;
    }
    if (ig_str_is(function, "+")) {
        out->constant += out->factor * value;
    } else if (ig_str_is(function, "-")) {
        out->constant += first ? out->factor * value : -(out->factor * value);
        if (first) out->factor = -out->factor;
    } else if (ig_str_is(function, "*")) {
        out->factor *= value;
    } else if (ig_str_is(function, "/") && !first && value != 0) {
        out->factor /= value;
    } else {
        pmml_refuse(reader, apply, "function '%.*s'", IG_STR_ARGS(function));
        return NULL;
    }
    return first ? right : left;
}

/* Two LinearNorms are a line. */
static bool norm_step(struct pmml_reader *reader, const struct pmml_element *norm,
                      struct pmml_affine *out)
{
    static const char *const outliers[4] = {"asIs"};
    const struct pmml_element *a = pmml_xml_child(norm, "LinearNorm");
    const struct pmml_element *b = a ? pmml_xml_next(a) : NULL;
    double x[2], y[2];
    if (!b || pmml_xml_next(b) || pmml_xml_get(norm, "mapMissingTo").ptr)
        return pmml_refuse(reader, norm, "other than two LinearNorms without mapMissingTo");
    if (!pmml_expect(reader, norm, "outliers", outliers) ||
        !pmml_number(reader, a, "orig", NULL, &x[0]) ||
        !pmml_number(reader, a, "norm", NULL, &y[0]) ||
        !pmml_number(reader, b, "orig", NULL, &x[1]) ||
        !pmml_number(reader, b, "norm", NULL, &y[1]))
        return false;
    if (x[0] == x[1]) return pmml_fail(reader, norm, "two LinearNorms of one orig");
    double slope = (y[1] - y[0]) / (x[1] - x[0]);
    out->constant += out->factor * (y[0] - slope * x[0]);
    out->factor *= slope;
    return true;
}

/* The field at the end, itself perhaps derived. */
static bool reach_field(struct pmml_reader *reader, const struct pmml_element *expression,
                        struct pmml_affine *out)
{
    const struct pmml_element *at = expression;
    for (int step = 0; at && step < STEPS_MAX; step++) {
        if (pmml_xml_is(at, "Apply")) {
            at = apply_step(reader, at, out);
            if (!at) return false;
            continue;
        }
        bool norm = pmml_xml_is(at, "NormContinuous");
        if ((!norm && !pmml_xml_is(at, "FieldRef")) || pmml_xml_get(at, "mapMissingTo").ptr)
            return pmml_refuse(reader, at, "this expression");
        if (norm && !norm_step(reader, at, out)) return false;
        out->field = pmml_xml_get(at, "field");
        return true;
    }
    return pmml_refuse(reader, expression, "an expression of more than %d steps", STEPS_MAX);
}

bool pmml_expression(struct pmml_reader *reader, const struct pmml_element *expression,
                     struct pmml_affine *out)
{
    *out = (struct pmml_affine){.factor = 1};
    return reach_field(reader, expression, out);
}

/* Whether a name is what the walk through derived fields ends at. */
static bool is_source(const struct pmml_reader *reader, struct ig_str name)
{
    return pmml_field_index(reader, name) >= 0 || ig_map_get(&reader->outputs, name);
}

static bool walk(struct pmml_reader *reader, const struct pmml_element *at,
                 struct pmml_affine *affine)
{
    struct ig_str name = affine->field;
    for (int step = 0; step < STEPS_MAX; step++) {
        if (is_source(reader, affine->field))
            return isfinite(affine->factor) && isfinite(affine->constant)
                       ? true
                       : pmml_fail(reader, at, "'%.*s' is not finite", IG_STR_ARGS(name));
        const struct pmml_derived *derived = ig_map_get(&reader->derived, affine->field);
        if (!derived)
            return pmml_fail(reader, at, "'%.*s' is neither an input nor derived from one",
                             IG_STR_ARGS(affine->field));
        const struct pmml_element *element = derived->element;
        if (derived->other)
            return pmml_refuse(reader, at,
                               "'%.*s' is defined differently at lines %u and %u, which",
                               IG_STR_ARGS(affine->field), element->line, derived->other->line);
        if (!derived->expression) return pmml_fail(reader, element, "has no expression");
        affine->rounds |= ig_str_is(pmml_xml_get(element, "dataType"), "float");
        if (!pmml_use(reader, element, element->bytes) ||
            !reach_field(reader, derived->expression, affine))
            return false;
    }
    return pmml_fail(reader, at, "'%.*s' is derived in more than %d steps", IG_STR_ARGS(name),
                     STEPS_MAX);
}

bool pmml_resolve(struct pmml_reader *reader, const struct pmml_element *at, struct ig_str name,
                  struct pmml_affine *out)
{
    *out = (struct pmml_affine){.field = name, .factor = 1};
    if (!name.ptr) return pmml_fail(reader, at, "the name of a field is missing");
    struct pmml_derived *derived = ig_map_get(&reader->derived, name);
    if (is_source(reader, name)) return true;
    if (derived && derived->resolved) {
        *out = derived->affine;
        return true;
    }
    if (!walk(reader, at, out)) return false;
    IG_ASSERT(derived);
    derived->resolved = true;
    derived->affine = *out;
    return true;
}
