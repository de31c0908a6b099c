#include "common/docker/exec_frame.h"

#include <string.h>

/* 0 is what was written to the program, where a daemon gives that back: it goes where the output goes. */
static const enum exec_frame_stream streams[] = {EXEC_FRAME_OUTPUT, EXEC_FRAME_OUTPUT, EXEC_FRAME_ERRORS,
                                                 EXEC_FRAME_DAEMON};

static bool is_head(const uint8_t *head)
{
    return head[0] < sizeof streams / sizeof streams[0] && head[1] == 0 && head[2] == 0 && head[3] == 0;
}

static uint32_t length_of(const uint8_t *head)
{
    return (uint32_t)head[4] << 24 | (uint32_t)head[5] << 16 | (uint32_t)head[6] << 8 | head[7];
}

static int read_head(struct exec_frame *frame, const uint8_t *p, size_t n, size_t *used)
{
    size_t missing = EXEC_FRAME_HEAD - frame->have;
    *used = n < missing ? n : missing;
    memcpy(frame->head + frame->have, p, *used);
    frame->have += *used;
    if (frame->have < EXEC_FRAME_HEAD)
        return 0;
    if (!is_head(frame->head))
        return -1;
    frame->left = length_of(frame->head);
    if (frame->left == 0)
        frame->have = 0;
    return 0;
}

int exec_frame_next(struct exec_frame *frame, const uint8_t *p, size_t n, size_t *used, struct exec_frame_piece *piece)
{
    *piece = (struct exec_frame_piece){.bytes = p};
    if (frame->have < EXEC_FRAME_HEAD)
        return read_head(frame, p, n, used);
    piece->stream = streams[frame->head[0]];
    piece->length = n < frame->left ? n : frame->left;
    *used = piece->length;
    frame->left -= (uint32_t)piece->length;
    if (frame->left == 0)
        frame->have = 0;
    return 0;
}

bool exec_frame_is_whole(const struct exec_frame *frame)
{
    return frame->have == 0;
}
