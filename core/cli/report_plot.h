/* Plots of a report: inline SVG with a title, and the same in words, in colours that the page's style names. */
#ifndef COFRE_CLI_REPORT_PLOT_H
#define COFRE_CLI_REPORT_PLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes;
struct report_job;

enum report_plot_unit { REPORT_PLOT_BYTES, REPORT_PLOT_SECONDS, REPORT_PLOT_PERCENT };

struct report_plot {
    const char *title; /* no mark-up in it */
    const char *words; /* behind it, what else is to say of it, likewise; "" = nothing */
    size_t number;     /* of the plot in its page: no two have the same */
    enum report_plot_unit unit;
    bool bars;            /* each value stands for itself; else they are joined by a line */
    int64_t since, until; /* ns */
};
struct report_plot_point {
    int64_t when; /* ns */
    double value;
};

/* points: in order of time. None: only that. Appended to the page. */
void report_plot_draw(struct bytes *page, const struct report_plot *plot, const struct report_plot_point *points,
                      size_t count);
/* What came of the runs of the job, in at most 90 equal parts of the time. */
void report_plot_results(struct bytes *page, const struct report_plot *plot, const struct report_job *job);

#endif
