#include "cli/report_plot.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/text.h"
#include "operation/report.h"

/* The picture, and the field of it that has the values. */
#define WIDTH 360
#define HEIGHT 140
#define LEFT 4
#define TOP 22
#define FIELD_WIDTH 352
#define FIELD_HEIGHT 92
#define BOTTOM (TOP + FIELD_HEIGHT)

#define COLUMNS 176
#define PARTS 90
#define DAY INT64_C(86400000000000) /* ns */
#define VALUE_MAX 32

/* The most of what is in each of them; negative = nothing is. */
struct columns {
    double values[COLUMNS];
    double most;
};

static const char *show_value(enum report_plot_unit unit, double value, char out[VALUE_MAX])
{
    if (unit == REPORT_PLOT_BYTES)
        return text_size((uint64_t)value, out);
    if (unit == REPORT_PLOT_SECONDS)
        return text_elapsed((int64_t)(1000 * value), out);
    snprintf(out, VALUE_MAX, "%.0f %%", value);
    return out;
}

static const char *show_day(int64_t when, char out[CLOCK_TEXT_MAX])
{
    clock_format_shown(when, out);
    out[strcspn(out, "T")] = '\0';
    return out;
}

/* Which of so many equal parts of the time it is in. */
static size_t part_of(const struct report_plot *plot, int64_t when, size_t parts)
{
    double whole = (double)(plot->until - plot->since), at = (double)(when - plot->since);
    double part = whole > 0 ? at / whole * (double)parts : 0;
    return part <= 0 ? 0 : part >= (double)parts ? parts - 1 : (size_t)part;
}

static void begin(struct bytes *page, const struct report_plot *plot, const char *words)
{
    char since[CLOCK_TEXT_MAX], until[CLOCK_TEXT_MAX];
    bytes_print(page,
                "<figure><figcaption>%s<small>%s</small></figcaption>\n"
                "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-labelledby=\"t%zu d%zu\">"
                "<title id=\"t%zu\">%s</title><desc id=\"d%zu\">%s</desc>\n"
                "<line class=\"axis\" x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\"/>"
                "<text x=\"%d\" y=\"%d\">%s</text><text class=\"end\" x=\"%d\" y=\"%d\">%s</text>\n",
                plot->title, words, WIDTH, HEIGHT, plot->number, plot->number, plot->number, plot->title, plot->number,
                words, LEFT, BOTTOM, LEFT + FIELD_WIDTH, BOTTOM, LEFT, HEIGHT - 8, show_day(plot->since, since),
                LEFT + FIELD_WIDTH, HEIGHT - 8, show_day(plot->until, until));
}

static void end(struct bytes *page)
{
    bytes_print(page, "</svg></figure>\n");
}

/* ---- values ---- */

static void sort_in(const struct report_plot *plot, const struct report_plot_point *points, size_t count,
                    struct columns *columns)
{
    *columns = (struct columns){.most = plot->unit == REPORT_PLOT_PERCENT ? 100 : 0};
    for (size_t i = 0; i < COLUMNS; i++)
        columns->values[i] = -1;
    for (size_t i = 0; i < count; i++) {
        double *value = &columns->values[part_of(plot, points[i].when, COLUMNS)];
        *value = points[i].value > *value ? points[i].value : *value;
        columns->most = points[i].value > columns->most ? points[i].value : columns->most;
    }
}

static double height(const struct columns *columns, double value)
{
    return columns->most > 0 ? value / columns->most * FIELD_HEIGHT : 0;
}

static double middle(size_t column)
{
    return LEFT + ((double)column + 0.5) * FIELD_WIDTH / COLUMNS;
}

static void draw_bars(struct bytes *page, const struct columns *columns)
{
    bytes_print(page, "<path class=\"bars\" d=\"");
    for (size_t i = 0; i < COLUMNS; i++)
        if (columns->values[i] >= 0)
            bytes_print(page, "M%.1f %dv-%.1f", middle(i), BOTTOM, height(columns, columns->values[i]));
    bytes_print(page, "\"/>");
}

static void draw_line(struct bytes *page, const struct columns *columns)
{
    size_t last = 0;
    char step = 'M';
    bytes_print(page, "<path class=\"line\" d=\"");
    for (size_t i = 0; i < COLUMNS; i++) {
        if (columns->values[i] < 0)
            continue;
        bytes_print(page, "%c%.1f %.1f", step, middle(i), BOTTOM - height(columns, columns->values[i]));
        step = 'L';
        last = i;
    }
    bytes_print(page, "\"/><circle class=\"dot\" r=\"2.5\" cx=\"%.1f\" cy=\"%.1f\"/>", middle(last),
                BOTTOM - height(columns, columns->values[last]));
}

void report_plot_draw(struct bytes *page, const struct report_plot *plot, const struct report_plot_point *points,
                      size_t count)
{
    struct columns columns;
    char words[384], first[VALUE_MAX], last[VALUE_MAX], most[VALUE_MAX], from[CLOCK_TEXT_MAX], to[CLOCK_TEXT_MAX];
    if (count == 0) {
        begin(page, plot, "nothing is known of this time");
        end(page);
        return;
    }
    sort_in(plot, points, count, &columns);
    show_value(plot->unit, columns.most, most);
    int n = snprintf(words, sizeof words, "%s on %s, %s on %s", show_value(plot->unit, points[0].value, first),
                     show_day(points[0].when, from), show_value(plot->unit, points[count - 1].value, last),
                     show_day(points[count - 1].when, to));
    if (plot->unit != REPORT_PLOT_PERCENT)
        n += snprintf(words + n, sizeof words - (size_t)n, "; at most %s", most);
    snprintf(words + n, sizeof words - (size_t)n, "%.80s", plot->words);
    begin(page, plot, words);
    bytes_print(page,
                "<line class=\"grid\" x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\"/>"
                "<text x=\"%d\" y=\"%d\">%s</text>\n",
                LEFT, TOP, LEFT + FIELD_WIDTH, TOP, LEFT, TOP - 6, most);
    if (plot->bars)
        draw_bars(page, &columns);
    else
        draw_line(page, &columns);
    end(page);
}

/* ---- results ---- */

static const char *class_of(const size_t results[REPORT_RESULTS], int *tall)
{
    size_t bad = results[REPORT_FAILED], partly = results[REPORT_PARTLY], good = results[REPORT_COMPLETE];
    *tall = bad + partly == 0 ? FIELD_HEIGHT : good + partly == 0 ? FIELD_HEIGHT / 4 : FIELD_HEIGHT / 2;
    return bad + partly == 0 ? "good" : good + partly == 0 ? "bad" : "mixed";
}

void report_plot_results(struct bytes *page, const struct report_plot *plot, const struct report_job *job)
{
    size_t results[PARTS][REPORT_RESULTS] = {0};
    int64_t days = (plot->until - plot->since + DAY - 1) / DAY;
    size_t parts = days < 1 ? 1 : days > PARTS ? PARTS : (size_t)days;
    char words[256];
    for (size_t i = 0; i < job->run_count; i++)
        results[part_of(plot, job->runs[i].ended, parts)][job->runs[i].result]++;
    snprintf(words, sizeof words,
             "%zu complete, %zu incomplete or suspect, %zu failed. A full bar: all complete; half: some; low: none",
             job->results[REPORT_COMPLETE], job->results[REPORT_PARTLY], job->results[REPORT_FAILED]);
    begin(page, plot, words);
    double wide = (double)FIELD_WIDTH / (double)parts;
    for (size_t i = 0; i < parts; i++) {
        int tall;
        const char *class = class_of(results[i], &tall);
        if (results[i][REPORT_COMPLETE] + results[i][REPORT_PARTLY] + results[i][REPORT_FAILED] > 0)
            bytes_print(page, "<rect class=\"%s\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\"/>", class,
                        LEFT + (double)i * wide, BOTTOM - tall, wide > 2 ? wide - 1 : wide, tall);
    }
    end(page);
}
