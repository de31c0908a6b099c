/* The stream of a program's output and errors in one connection: pieces behind heads of 8 bytes, which say whose they
 * are and how long. Fed as it comes, cut anywhere. */
#ifndef COFRE_DOCKER_EXEC_FRAME_H
#define COFRE_DOCKER_EXEC_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXEC_FRAME_HEAD 8

enum exec_frame_stream {
    EXEC_FRAME_OUTPUT,
    EXEC_FRAME_ERRORS,
    EXEC_FRAME_DAEMON /* a complaint of the daemon's own */
};

/* Zeroed is the beginning. */
struct exec_frame {
    uint8_t head[EXEC_FRAME_HEAD];
    size_t have;   /* bytes of the head */
    uint32_t left; /* bytes of the piece that are to come */
};

struct exec_frame_piece {
    enum exec_frame_stream stream;
    const uint8_t *bytes; /* of what was fed */
    size_t length;
};

/* The next bytes of one stream in the n > 0 bytes at p; *used says how many of these were looked at. piece->length 0: a
 * head, or a part of one. -1: this is no such stream. */
int exec_frame_next(struct exec_frame *frame, const uint8_t *p, size_t n, size_t *used, struct exec_frame_piece *piece);

/* May the stream end here? */
bool exec_frame_is_whole(const struct exec_frame *frame);

#endif
