/* A report as one page of HTML, without parts from elsewhere and without script. */
#ifndef COFRE_CLI_REPORT_HTML_H
#define COFRE_CLI_REPORT_HTML_H

struct bytes;
struct config;
struct output;
struct report;

/* Appended to text. All that comes from outside is escaped, with the output's help. */
void report_html_write(struct bytes *text, struct output *out, const struct config *config,
                       const struct report *report);

#endif
