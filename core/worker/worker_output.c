#include "worker/worker_output.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "worker/call.h"

void worker_output_line(struct worker *w, int level, const char *said, char *text)
{
    if (w->lines++ >= CALL_LINES)
        return;
    redact_text(&w->redact, text);
    log_line((enum log_level)level, "%s: %s%s", w->instance, said, text);
}

void worker_output_settle(struct worker *w)
{
    if (w->lines > CALL_LINES)
        log_line(LOG_WARNING, "%s: %llu further lines were dropped", w->instance,
                 (unsigned long long)(w->lines - CALL_LINES));
    w->lines = 0;
}

static void end_line(struct worker *w)
{
    w->line[w->line_length] = '\0';
    if (w->line_length > 0)
        worker_output_line(w, LOG_WARNING, "the plugin wrote: ", w->line);
    w->line_length = 0;
}

void worker_output_drain(struct worker *w)
{
    char piece[4096];
    ssize_t n;
    if (w->output < 0)
        return;
    while ((n = read(w->output, piece, sizeof piece)) > 0 || (n < 0 && errno == EINTR))
        for (ssize_t i = 0; i < n; i++) {
            if (piece[i] == '\n' || w->line_length == CALL_LINE)
                end_line(w);
            if (piece[i] != '\n' && piece[i] != '\0')
                w->line[w->line_length++] = piece[i];
        }
    if (n == 0) {
        end_line(w);
        close(w->output);
        w->output = -1;
    }
}
