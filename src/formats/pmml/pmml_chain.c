/* SPDX-License-Identifier: Apache-2.0 */
/* Models within models: what a holder's model is, and chains, of which the last model counts and
 * the earlier ones give it outputs by name. Owns nothing but what lies in the reader. */
#include "formats/pmml/pmml_priv.h"

enum { CHAINS_MAX = 16, OUTPUT_BYTES = 16 };

static bool is_model(const struct pmml_element *element)
{
    return pmml_xml_is(element, "TreeModel") || pmml_xml_is(element, "MiningModel") ||
           pmml_xml_is(element, "RegressionModel");
}

const struct pmml_element *pmml_model_in(struct pmml_reader *reader,
                                         const struct pmml_element *holder)
{
    static const char *const others[] = {"AnomalyDetectionModel",
                                         "AssociationModel",
                                         "BayesianNetworkModel",
                                         "BaselineModel",
                                         "ClusteringModel",
                                         "GaussianProcessModel",
                                         "GeneralRegressionModel",
                                         "NaiveBayesModel",
                                         "NearestNeighborModel",
                                         "NeuralNetwork",
                                         "RuleSetModel",
                                         "Scorecard",
                                         "SequenceModel",
                                         "SupportVectorMachineModel",
                                         "TextModel",
                                         "TimeSeriesModel"};
    const struct pmml_element *child = holder->first;
    while (child && !is_model(child)) {
        for (size_t i = 0; i < sizeof others / sizeof *others; i++)
            if (pmml_xml_is(child, others[i])) {
                pmml_refuse(reader, child, "this kind of model");
                return NULL;
            }
        child = child->next;
    }
    if (!child) pmml_fail(reader, holder, "has no TreeModel, MiningModel or RegressionModel");
    return child;
}

bool pmml_check_segment(struct pmml_reader *reader, const struct pmml_element *segment)
{
    const struct pmml_element *predicate = segment->first;
    while (pmml_xml_is(predicate, "Extension")) predicate = predicate->next;
    return pmml_xml_is(predicate, "True") ||
           pmml_refuse(reader, segment, "a predicate other than True");
}

static bool add_output(struct pmml_reader *reader, struct ig_str name, struct pmml_output output)
{
    struct pmml_output *kept = ig_arena_zalloc(reader->scratch, sizeof *kept);
    if (!kept) return pmml_no_memory(reader);
    *kept = output;
    kept->before = ig_map_get(&reader->outputs, name);
    return ig_map_put(&reader->outputs, name, kept) || pmml_no_memory(reader);
}

const struct pmml_output *pmml_earlier_output(struct pmml_reader *reader, struct ig_str name,
                                              const struct pmml_element *at)
{
    const struct pmml_output *output = ig_map_get(&reader->outputs, name);
    for (; output && output->model->at + output->model->bytes > at->at; output = output->before)
        if (!pmml_use(reader, at, OUTPUT_BYTES)) return NULL;
    if (!output)
        pmml_fail(reader, at, "'%.*s' is an output, but of no earlier model", IG_STR_ARGS(name));
    return output;
}

/* The predicted value, and what is computed from it on a line. Others can be named by nobody. */
static bool read_outputs(struct pmml_reader *reader, const struct pmml_element *model)
{
    const struct pmml_element *field =
        pmml_xml_child(pmml_xml_child(model, "Output"), "OutputField");
    for (; field; field = pmml_xml_next(field)) {
        struct ig_str name = pmml_xml_get(field, "name"), feature = pmml_xml_get(field, "feature");
        struct pmml_output output = {.model = model, .factor = 1};
        struct pmml_affine at;
        if (pmml_field_index(reader, name) >= 0)
            return pmml_fail(reader, field, "'%.*s' is an input", IG_STR_ARGS(name));
        if (ig_str_is(feature, "transformedValue")) {
            const struct pmml_element *expression = field->first;
            while (pmml_xml_is(expression, "Extension")) expression = expression->next;
            if (!expression || !pmml_expression(reader, expression, &at)) return false;
            const struct pmml_output *from = ig_map_get(&reader->outputs, at.field);
            if (!from || from->model != model)
                return pmml_refuse(reader, field, "a value of another model");
            output.factor = at.factor * from->factor;
            output.constant = at.constant + at.factor * from->constant;
        } else if (feature.ptr && !ig_str_is(feature, "predictedValue")) {
            continue;
        }
        if (!add_output(reader, name, output)) return false;
    }
    return true;
}

const struct pmml_element *pmml_follow_chain(struct pmml_reader *reader,
                                             const struct pmml_element *model)
{
    for (int chains = 0; chains < CHAINS_MAX; chains++) {
        const struct pmml_element *own = pmml_xml_child(model, "Segmentation");
        const struct pmml_element *segment = pmml_xml_child(own, "Segment");
        if (!segment || !ig_str_is(pmml_xml_get(own, "multipleModelMethod"), "modelChain"))
            return model;
        if (pmml_xml_child(pmml_xml_child(model, "Targets"), "Target")) {
            pmml_refuse(reader, model, "a chain with Targets");
            return NULL;
        }
        for (;; segment = pmml_xml_next(segment)) {
            model = pmml_check_segment(reader, segment) ? pmml_model_in(reader, segment) : NULL;
            if (!model || !pmml_check_schema(reader, model)) return NULL;
            if (!pmml_xml_next(segment)) break;
            if (!read_outputs(reader, model)) return NULL;
        }
    }
    pmml_refuse(reader, model, "a chain within more than 16 chains");
    return NULL;
}
