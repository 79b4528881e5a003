/* SPDX-License-Identifier: Apache-2.0 */
/* SVG elements and the style sheet. Colours are plain: renderers that know no custom properties (or
 * no media queries) show the theme that was asked for (or the light one). Sign: orange above zero,
 * blue below, told apart by people who do not see red or green, with a contrast of 4.5 to 1 against
 * the background; values: a ramp whose lightness rises from end to end, at least 3 to 1. Owns
 * nothing; stateless. */
#include "formats/plot/plot_svg.h"

#include "formats/plot/plot_text.h"

#include <math.h>

/* No coordinate lies farther; what is no number is none. */
static const double FARTHEST = 1e7;

/* What is painted and how, in light and in dark. */
static const struct paint {
    const char *selector;
    char how; /* f: fill, s: stroke, c: both, by the element's own colour */
    const char *light, *dark;
} PAINTS[] = {
    {"text", 'f', "#1d2430", "#e8eaed"}, {".b", 'f', "#fff", "#15181d"},
    {".s", 'f', "#5b6470", "#a3abb6"},   {".t", 'f', "#5b6470", "#a3abb6"},
    {".g", 's', "#e3e6ea", "#2d333b"},   {".a", 's', "#9aa1ab", "#6b7480"},
    {".d", 's', "#5b6470", "#a3abb6"},   {".up", 'c', "#c2410c", "#ff8f4d"},
    {".dn", 'c', "#1d5fa8", "#62a8f5"},  {".n", 'c', "#59636f", "#b5bac2"},
    {".o", 'f', "#fff", "#15181d"},      {".v0", 'c', "#174a9c", "#4a8ae6"},
    {".v1", 'c', "#434e9d", "#708ce2"},  {".v2", 'c', "#61509d", "#8f8cde"},
    {".v3", 'c', "#7d509e", "#aa8cda"},  {".v4", 'c', "#974f9e", "#c48bd6"},
    {".v5", 'c', "#aa5b89", "#d298be"},  {".v6", 'c', "#be6471", "#e0a3a4"},
    {".v7", 'c', "#d36b53", "#efad85"},  {".v8", 'c', "#e8701a", "#ffb65c"},
    {".vn", 'c', "#7d8590", "#8b939e"},  {".c0", 'c', "#1d5fa8", "#62a8f5"},
    {".c1", 'c', "#c2410c", "#ff8f4d"},  {".c2", 'c', "#00795c", "#35c79a"},
    {".c3", 'c', "#8a3d8f", "#d48bdb"},  {".c4", 'c', "#7a6000", "#d8b73f"},
    {".c5", 'c', "#5f6670", "#b5bac2"},  {".z path", 's', "#fff", "#15181d"},
    {".i", 's', "#fff", "#15181d"},
};

/* Shapes: lines do not fill, what has no border has none. After the paints. */
static const char SHAPES[] =
    ".ig-plot .h{font-size:15px;font-weight:600}.ig-plot .t{font-size:11px}"
    ".ig-plot .e{text-anchor:end}.ig-plot .m{text-anchor:middle}.ig-plot text[class]{stroke:none}"
    ".ig-plot tspan{unicode-bidi:isolate}.ig-plot .w{font-weight:600}.ig-plot "
    ".d{stroke-dasharray:4 3}"
    ".ig-plot .p path{stroke-width:4.4;stroke-linecap:round;stroke-opacity:.8}"
    ".ig-plot .q path{fill-opacity:.8;stroke:none}"
    ".ig-plot .p path.x{stroke-width:1.4;stroke-linecap:butt;stroke-opacity:1;fill:none}"
    ".ig-plot .l path{fill:none;stroke-width:1.3;stroke-opacity:.55;stroke-linejoin:round}"
    ".ig-plot .k path{fill:none;stroke-width:2.8;stroke-opacity:1;stroke-linejoin:round}"
    ".ig-plot .z path{fill:none;stroke-width:6.5}.ig-plot "
    ".r{stroke:none}.ig-plot .i{stroke-width:.8}";

static void add_paints(struct ig_buf *svg, bool dark)
{
    for (size_t i = 0; i < sizeof PAINTS / sizeof *PAINTS; i++) {
        const struct paint *paint = &PAINTS[i];
        const char *colour = dark ? paint->dark : paint->light;
        ig_buf_printf(svg, ".ig-plot %s{", paint->selector);
        if (paint->how != 's') ig_buf_printf(svg, "fill:%s", colour);
        if (paint->how == 'c') ig_buf_add_char(svg, ';');
        if (paint->how != 'f') ig_buf_printf(svg, "stroke:%s", colour);
        ig_buf_add_char(svg, '}');
    }
}

void ig_plot_svg_begin(struct ig_buf *svg, double width, double height)
{
    ig_buf_add_cstr(svg,
                    "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"ig-plot\" role=\"img\"");
    ig_plot_svg_attribute(svg, "width", width);
    ig_plot_svg_attribute(svg, "height", height);
    ig_buf_add_cstr(svg, " viewBox=\"0 0 ");
    ig_plot_svg_number(svg, width);
    ig_buf_add_char(svg, ' ');
    ig_plot_svg_number(svg, height);
    ig_buf_add_cstr(svg, "\">\n<title>");
}

void ig_plot_svg_desc(struct ig_buf *svg)
{
    ig_buf_add_cstr(svg, "</title>\n<desc>");
}

void ig_plot_svg_style(struct ig_buf *svg, enum ig_plot_theme theme, double width, double height)
{
    ig_buf_add_cstr(svg, "</desc>\n<style>.ig-plot{max-width:100%}"
                         ".ig-plot text{font:12px \"Helvetica Neue\",Arial,\"Liberation Sans\","
                         "sans-serif}");
    add_paints(svg, theme == IG_PLOT_THEME_DARK);
    if (theme == IG_PLOT_THEME_AUTO) {
        ig_buf_add_cstr(svg, "@media(prefers-color-scheme:dark){");
        add_paints(svg, true);
        ig_buf_add_char(svg, '}');
    }
    ig_buf_add_cstr(svg, SHAPES);
    ig_buf_add_cstr(svg, "</style>\n");
    ig_plot_svg_rect(svg, "b", (struct ig_plot_box){0, 0, width, height});
    ig_plot_svg_close(svg);
}

void ig_plot_svg_end(struct ig_buf *svg)
{
    ig_buf_add_cstr(svg, "</svg>\n");
}

void ig_plot_svg_number(struct ig_buf *svg, double value)
{
    int64_t hundredths = fabs(value) < FARTHEST ? llround(value * 100) : 0;
    if (hundredths < 0) {
        ig_buf_add_char(svg, '-');
        hundredths = -hundredths;
    }
    ig_buf_add_i64(svg, hundredths / 100);
    unsigned rest = (unsigned)(hundredths % 100);
    if (!rest) return;
    const char text[] = {'.', (char)('0' + rest / 10), (char)('0' + rest % 10)};
    ig_buf_add(svg, text, rest % 10 ? 3 : 2);
}

void ig_plot_svg_open(struct ig_buf *svg, const char *element, const char *class)
{
    ig_buf_printf(svg, "<%s", element);
    if (class) ig_buf_printf(svg, " class=\"%s\"", class);
}

void ig_plot_svg_attribute(struct ig_buf *svg, const char *name, double value)
{
    ig_buf_printf(svg, " %s=\"", name);
    ig_plot_svg_number(svg, value);
    ig_buf_add_char(svg, '"');
}

void ig_plot_svg_close(struct ig_buf *svg)
{
    ig_buf_add_cstr(svg, "/>\n");
}

void ig_plot_svg_tip(struct ig_buf *svg)
{
    ig_buf_add_cstr(svg, "><title>");
}

void ig_plot_svg_tip_end(struct ig_buf *svg, const char *element)
{
    ig_buf_printf(svg, "</title></%s>\n", element);
}

void ig_plot_svg_group(struct ig_buf *svg, const char *class)
{
    ig_plot_svg_open(svg, "g", class);
    ig_buf_add_cstr(svg, ">\n");
}

void ig_plot_svg_ungroup(struct ig_buf *svg)
{
    ig_buf_add_cstr(svg, "</g>\n");
}

void ig_plot_svg_rect(struct ig_buf *svg, const char *class, struct ig_plot_box box)
{
    ig_plot_svg_open(svg, "rect", class);
    ig_plot_svg_attribute(svg, "x", box.x);
    ig_plot_svg_attribute(svg, "y", box.y);
    ig_plot_svg_attribute(svg, "width", box.width);
    ig_plot_svg_attribute(svg, "height", box.height);
}

void ig_plot_svg_line(struct ig_buf *svg, const char *class, const double from[2],
                      const double to[2])
{
    ig_plot_svg_path(svg, class);
    ig_plot_svg_point(svg, 'M', from[0], from[1]);
    ig_plot_svg_point(svg, 'L', to[0], to[1]);
    ig_plot_svg_done(svg, false);
    ig_plot_svg_close(svg);
}

void ig_plot_svg_path(struct ig_buf *svg, const char *class)
{
    ig_plot_svg_open(svg, "path", class);
    ig_buf_add_cstr(svg, " d=\"");
}

void ig_plot_svg_point(struct ig_buf *svg, char command, double x, double y)
{
    ig_buf_add_char(svg, command);
    ig_plot_svg_number(svg, x);
    ig_buf_add_char(svg, ' ');
    ig_plot_svg_number(svg, y);
}

void ig_plot_svg_done(struct ig_buf *svg, bool closed)
{
    ig_buf_add_cstr(svg, closed ? "Z\"" : "\"");
}

void ig_plot_svg_dot(struct ig_buf *svg, const char *class, double x, double y)
{
    ig_plot_svg_path(svg, class);
    ig_plot_svg_point(svg, 'M', x, y);
    ig_buf_add_cstr(svg, "h0\"");
}

void ig_plot_svg_glyph(struct ig_buf *svg, const char *class, unsigned shape, const double at[2])
{
    static const char *const SHAPE[] = {
        "m-2.3 0a2.3 2.3 0 1 0 4.6 0a2.3 2.3 0 1 0-4.6 0z", /* circle */
        "m0-3l2.9 5h-5.8z",                                 /* triangle */
        "m-2.1-2.1h4.2v4.2h-4.2z",                          /* square */
        "m0-3.1l3.1 3.1l-3.1 3.1l-3.1-3.1z",                /* diamond */
        "m0 3l2.9-5h-5.8z",                                 /* triangle upside down */
        "m-.8-2.8h1.6v2h2v1.6h-2v2h-1.6v-2h-2v-1.6h2z",     /* plus */
    };
    ig_plot_svg_path(svg, class);
    ig_plot_svg_point(svg, 'M', at[0], at[1]);
    ig_buf_add_cstr(svg, SHAPE[shape % 6]);
    ig_buf_add_char(svg, '"');
}

void ig_plot_svg_cross(struct ig_buf *svg, double x, double y)
{
    ig_plot_svg_path(svg, "x vn");
    ig_plot_svg_point(svg, 'M', x - 2, y - 2);
    ig_buf_add_cstr(svg, "l4 4m0-4l-4 4\"");
}

static void begin_text(struct ig_buf *svg, const struct ig_plot_label *label)
{
    ig_plot_svg_open(svg, "text", label->class);
    ig_plot_svg_attribute(svg, "x", label->x);
    ig_plot_svg_attribute(svg, "y", label->y);
    ig_buf_add_char(svg, '>');
}

static void add_cut(struct ig_buf *svg, struct ig_str text, size_t fits)
{
    ig_plot_text_add(svg, (struct ig_str){text.ptr, fits});
    if (fits < text.len) ig_buf_add_cstr(svg, "\u2026");
}

void ig_plot_svg_label(struct ig_buf *svg, const struct ig_plot_label *label, struct ig_str text)
{
    size_t fits = label->room > 0 ? ig_plot_text_fit(text, label->size, label->room) : text.len;
    begin_text(svg, label);
    if (fits < text.len) {
        ig_buf_add_cstr(svg, "<title>");
        ig_plot_text_add(svg, text);
        ig_buf_add_cstr(svg, "</title>");
    }
    add_cut(svg, text, fits);
    ig_buf_add_cstr(svg, "</text>\n");
}

/* The space before is a shift: renderers differ in which characters at a tspan's edge they drop. */
static const struct ig_str EQUALS = {" =\u00a0", 4};

double ig_plot_svg_pair_width(struct ig_str name, struct ig_str value, double size)
{
    double width = ig_plot_text_width(name, size);
    if (value.len) width += ig_plot_text_width(EQUALS, size) + ig_plot_text_width(value, size);
    return width;
}

void ig_plot_svg_pair(struct ig_buf *svg, const struct ig_plot_label *label, struct ig_str name,
                      struct ig_str value)
{
    double size = label->size, equals = value.len ? ig_plot_text_width(EQUALS, size) : 0;
    double room = (label->room > 0 ? label->room : 1e6) - equals;
    double wide_name = ig_plot_text_width(name, size), wide_value = ig_plot_text_width(value, size);
    /* Both too long: the name keeps at least three fifths. */
    double for_value = fmin(wide_value, fmax(room - wide_name, room * 2 / 5));
    size_t fits_value = ig_plot_text_fit(value, size, for_value);
    size_t fits_name = ig_plot_text_fit(name, size, room - for_value);
    begin_text(svg, label);
    if (fits_name < name.len || fits_value < value.len) {
        ig_buf_add_cstr(svg, "<title>");
        ig_plot_text_add(svg, name);
        ig_buf_add_cstr(svg, value.len ? " = " : "");
        ig_plot_text_add(svg, value);
        ig_buf_add_cstr(svg, "</title>");
    }
    ig_buf_add_cstr(svg, value.len ? "<tspan>" : "");
    add_cut(svg, name, fits_name);
    ig_buf_add_cstr(svg, value.len ? "</tspan>" : "");
    if (value.len) {
        ig_plot_svg_open(svg, "tspan", "s");
        ig_plot_svg_attribute(svg, "dx", ig_plot_text_width(IG_STR(" "), size));
        ig_buf_add_cstr(svg, ">=\u00a0");
        add_cut(svg, value, fits_value);
        ig_buf_add_cstr(svg, "</tspan>");
    }
    ig_buf_add_cstr(svg, "</text>\n");
}

const char *ig_plot_svg_ramp(double share)
{
    static const char *const CLASSES[IG_PLOT_RAMP] = {"v0", "v1", "v2", "v3", "v4",
                                                      "v5", "v6", "v7", "v8"};
    if (!(share > 0)) return CLASSES[0];
    return CLASSES[share >= 1 ? IG_PLOT_RAMP - 1 : (int)(share * IG_PLOT_RAMP)];
}
