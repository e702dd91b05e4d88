/* Kernels of the reader's costly loops over pixels. Each has a twin in NumPy or Pillow beside its
 * caller and gives the same bits: sums are added in NumPy's order, resized pixels in Pillow's.
 * Compiled without -ffast-math and without contraction to fused operations. No libc beyond malloc
 * and memory functions, so that the library loads on any Linux. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define SIDE 28
#define INNER 20
#define FINE 80 /* INNER times the scale on which strokes are thickened or thinned */
#define SAMPLE 8192

typedef struct { int top, left, height, width; } Area;

/* The checksum of this file, so that a library of another one is not used. */
uint32_t checksum(void) { return CHECKSUM; }

/* --- numbers --- */

/* The nearest integer, halves to the even one, as Python's round. */
static int nearest(double value) {
    volatile double shifted = value + 6755399441055744.0;
    return (int)(shifted - 6755399441055744.0);
}

static int larger(int a, int b) { return a > b ? a : b; }
static int smaller(int a, int b) { return a < b ? a : b; }
static float limited(float value) {
    value = value > 0.0f ? value : 0.0f;
    return value < 1.0f ? value : 1.0f;
}

/* NumPy's pairwise sum of contiguous float32. */
static float sum(const float *values, int64_t count) {
    if (count < 8) {
        float total = -0.0f;
        for (int64_t i = 0; i < count; i++) total += values[i];
        return total;
    }
    if (count <= 128) {
        float part[8];
        int64_t i;
        memcpy(part, values, sizeof part);
        for (i = 8; i < count - count % 8; i += 8)
            for (int j = 0; j < 8; j++) part[j] += values[i + j];
        float total = ((part[0] + part[1]) + (part[2] + part[3]))
            + ((part[4] + part[5]) + (part[6] + part[7]));
        for (; i < count; i++) total += values[i];
        return total;
    }
    int64_t half = count / 2;
    half -= half % 8;
    return sum(values, half) + sum(values + half, count - half);
}

/* The sum of an area of a plane, as NumPy adds a view: row by row unless it is contiguous. */
static float sum_area(const float *plane, int stride, Area area) {
    const float *row = plane + (int64_t)area.top * stride + area.left;
    if (area.width == stride || area.height == 1)
        return sum(row, (int64_t)area.height * area.width);
    float total = 0.0f;
    for (int y = 0; y < area.height; y++, row += stride) total += sum(row, area.width);
    return total;
}

/* The value that would be at `index` if they were sorted; reorders them. */
static float ranked(float *values, int64_t count, int64_t index) {
    int64_t low = 0, high = count - 1;
    while (low < high) {
        float pivot = values[low + (high - low) / 2];
        int64_t i = low, j = high;
        while (i <= j) {
            while (values[i] < pivot) i++;
            while (values[j] > pivot) j--;
            if (i <= j) {
                float other = values[i];
                values[i++] = values[j];
                values[j--] = other;
            }
        }
        if (index <= j) high = j;
        else if (index >= i) low = i;
        else break;
    }
    return values[index];
}

/* --- resizing, as Pillow does for mode F --- */

enum { BOX, BILINEAR, BICUBIC };
static const double SUPPORT[] = {0.5, 1.0, 2.0};

static double weight(int filter, double x) {
    if (filter == BOX) return x > -0.5 && x <= 0.5 ? 1.0 : 0.0;
    if (x < 0.0) x = -x;
    if (filter == BILINEAR) return x < 1.0 ? 1.0 - x : 0.0;
    if (x < 1.0) return (1.5 * x - 2.5) * x * x + 1;
    return x < 2.0 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0.0;
}

typedef struct { int first, count; } Span;

/* For each output pixel its source pixels and their weights, `size` apart. NULL without memory. */
static double *weights(int source, int target, int filter, Span *spans, int *size) {
    double scale = (double)source / target;
    double wide = scale < 1.0 ? 1.0 : scale;
    double support = SUPPORT[filter] * wide;
    double step = 1.0 / wide;
    *size = 2 * ((int)support + 1) + 1;
    double *all = malloc(sizeof(double) * target * *size);
    for (int at = 0; all && at < target; at++) {
        double centre = (at + 0.5) * scale, total = 0.0;
        double *own = all + (int64_t)at * *size;
        int first = larger((int)(centre - support + 0.5), 0);
        int count = smaller((int)(centre + support + 0.5), source) - first;
        for (int i = 0; i < count; i++)
            total += own[i] = weight(filter, (i + first - centre + 0.5) * step);
        for (int i = 0; i < count && total != 0.0; i++) own[i] /= total;
        spans[at] = (Span){first, count};
    }
    return all;
}

/* Resize the rows of a plane to `columns`, of which `keep` are computed. -1 without memory. */
static int across(const float *plane, int stride, int height, int width, float *out, int columns,
                  int keep, int filter) {
    int size;
    Span *spans = malloc(sizeof(Span) * columns);
    double *all = spans && columns != width ? weights(width, columns, filter, spans, &size) : NULL;
    int failed = !spans || (columns != width && !all);
    for (int y = 0; !failed && y < height; y++, plane += stride, out += keep) {
        if (!all) memcpy(out, plane, sizeof(float) * keep);
        else for (int x = 0; x < keep; x++) {
            const double *own = all + (int64_t)x * size;
            double total = 0.0;
            for (int i = 0; i < spans[x].count; i++) total += plane[spans[x].first + i] * own[i];
            out[x] = (float)total;
        }
    }
    free(spans), free(all);
    return -failed;
}

/* Resize the columns of a plane to `rows`, of which `keep` are computed. -1 without memory. */
static int down(const float *plane, int stride, int height, int width, float *out, int rows,
                int keep, int filter) {
    int size;
    Span *spans = malloc(sizeof(Span) * rows);
    double *totals = malloc(sizeof(double) * width);
    double *all = spans && rows != height ? weights(height, rows, filter, spans, &size) : NULL;
    int failed = !spans || !totals || (rows != height && !all);
    for (int y = 0; !failed && y < keep; y++, out += width) {
        if (!all) memcpy(out, plane + (int64_t)y * stride, sizeof(float) * width);
        else {
            for (int x = 0; x < width; x++) totals[x] = 0.0;
            for (int i = 0; i < spans[y].count; i++) {
                const float *row = plane + (int64_t)(spans[y].first + i) * stride;
                double own = all[(int64_t)y * size + i];
                for (int x = 0; x < width; x++) totals[x] += row[x] * own;
            }
            for (int x = 0; x < width; x++) out[x] = (float)totals[x];
        }
    }
    free(spans), free(all), free(totals);
    return -failed;
}

/* Whether much flattened planes are resized downwards first, as Pillow does since version 13. */
static int flatten_first = 0;
void set_flatten_first(int value) { flatten_first = value; }

/* Resize a plane to (rows, columns); only `keep_rows` × `keep_columns` of the result are computed,
 * contiguous. 0, or -1 without memory. */
static int resample(const float *plane, int stride, int height, int width, float *out, int rows,
                    int columns, int keep_rows, int keep_columns, int filter) {
    int flat = flatten_first && height > rows && height - rows > 2 * (width - columns);
    int64_t pixels = flat ? (int64_t)keep_rows * width : (int64_t)height * keep_columns;
    float *half = malloc(sizeof(float) * pixels);
    int failed = !half;
    if (!failed && flat)
        failed = down(plane, stride, height, width, half, rows, keep_rows, filter)
            || across(half, width, keep_rows, width, out, columns, keep_columns, filter);
    else if (!failed)
        failed = across(plane, stride, height, width, half, columns, keep_columns, filter)
            || down(half, keep_columns, height, keep_columns, out, rows, keep_rows, filter);
    free(half);
    return -failed;
}

int resize(const float *plane, int height, int width, float *out, int rows, int columns,
           int filter) {
    return resample(plane, width, height, width, out, rows, columns, rows, columns, filter);
}

/* Pillow's factor for a division by `count` with 24 bits behind the point: single precision. */
static uint32_t reciprocal(uint32_t count) {
    return (uint32_t)(4294967296.0f / (float)(256 * count));
}

/* Shrink a grey picture to the means of blocks, as Pillow's reduce does. -1 without memory. */
int shrink(const uint8_t *pixels, int height, int width, int factor, uint8_t *out) {
    uint32_t *sums = malloc(sizeof(uint32_t) * width);
    if (!sums) return -1;
    for (int y = 0; y < height; y += factor) {
        int rows = smaller(factor, height - y), x = 0;
        uint32_t count = rows * factor, share = reciprocal(count);
        memset(sums, 0, sizeof(uint32_t) * width);
        for (int i = 0; i < rows; i++, pixels += width)
            for (int j = 0; j < width; j++) sums[j] += pixels[j];
        for (; x + factor <= width; x += factor) {
            uint32_t total = count / 2;
            for (int i = 0; i < factor; i++) total += sums[x + i];
            *out++ = (uint8_t)((total * share) >> 24);
        }
        if (x < width) {
            uint32_t some = rows * (width - x), total = some / 2;
            for (; x < width; x++) total += sums[x];
            *out++ = (uint8_t)((total * reciprocal(some)) >> 24);
        }
    }
    free(sums);
    return 0;
}

/* How many of every `step`th value equal the lowest of them. */
int64_t count_lowest(const float *values, int height, int width, int step) {
    int64_t count = (int64_t)height * width, equal = 0;
    float lowest = values[0];
    for (int64_t i = 0; i < count; i += step) lowest = values[i] < lowest ? values[i] : lowest;
    for (int64_t i = 0; i < count; i += step) equal += values[i] == lowest;
    return equal;
}

/* How many of every `step`th change from a pixel to the next but one, in every `skip`th row, are
 * at most `limit`. */
int64_t count_calm(const float *values, int height, int width, int skip, int step, float limit) {
    int64_t calm = 0;
    int x = 0;
    for (int y = 0; y < height; y += skip, x -= width - 2)
        for (const float *row = values + (int64_t)y * width; x < width - 2; x += step) {
            float change = row[x + 2] - row[x];
            calm += (change < 0 ? -change : change) <= limit;
        }
    return calm;
}

/* --- masks --- */

/* Counts over a mask: ink, pixels that differ from the one above, from the one to the left, and
 * runs that start within a row. */
void count_edges(const uint8_t *mask, int height, int width, int64_t *counts) {
    int64_t ink = 0, down = 0, across = 0, starts = 0;
    for (int y = 0; y < height; y++, mask += width) {
        int some = 0, changes = 0, begins = 0, below = 0;
        for (int x = 0; x < width; x++) some += mask[x];
        for (int x = 1; x < width; x++) changes += mask[x] ^ mask[x - 1];
        for (int x = 1; x < width; x++) begins += mask[x] & (mask[x - 1] ^ 1);
        if (y) for (int x = 0; x < width; x++) below += mask[x] ^ mask[x - width];
        ink += some, across += changes, starts += begins, down += below;
    }
    counts[0] = ink, counts[1] = down, counts[2] = across, counts[3] = starts;
}

/* The number of vertical runs of at most `limit` pixels. -1 without memory. */
int64_t thin_columns(const uint8_t *mask, int height, int width, int limit) {
    int64_t total = 0;
    int32_t *length = calloc(width + 1, sizeof(int32_t));
    if (!length) return -1;
    for (int y = 0; y <= height; y++, mask += width) {
        int found = 0;
        if (y == height) {
            for (int x = 0; x < width; x++) found += length[x] > 0 && length[x] <= limit;
        } else {
            for (int x = 0; x < width; x++) {
                int32_t ink = mask[x];
                found += (ink ^ 1) & (length[x] > 0) & (length[x] <= limit);
                length[x] = (length[x] + 1) & -ink;
            }
        }
        total += found;
    }
    free(length);
    return total;
}

/* The start and stop of the next run in a row from `at` on; whether there is one. */
static int next_run(const uint8_t *row, int width, int at, int *start, int *stop) {
    const uint8_t *ink = at < width ? memchr(row + at, 1, width - at) : NULL;
    if (!ink) return 0;
    *start = (int)(ink - row);
    const uint8_t *end = memchr(ink, 0, width - *start);
    *stop = end ? (int)(end - row) : width;
    return 1;
}

/* The number of horizontal runs of at most `limit` pixels. */
int64_t thin_rows(const uint8_t *mask, int height, int width, int limit) {
    int64_t total = 0;
    int start, stop = 0;
    for (int y = 0; y < height; y++, mask += width, stop = 0)
        while (next_run(mask, width, stop, &start, &stop)) total += stop - start <= limit;
    return total;
}

static int64_t root(int64_t *parent, int64_t node) {
    while (parent[node] != node) node = parent[node] = parent[parent[node]];
    return node;
}

/* Label the 8-connected components: their number. `runs` are row, start, stop and label of each
 * run, `boxes` are left, top, right, bottom and area of each component, `capacity` numbers each. */
int64_t label(const uint8_t *mask, int height, int width, int64_t capacity, int64_t *runs,
              int64_t *boxes) {
    int64_t *row = runs, *start = runs + capacity, *stop = start + capacity;
    int64_t *parent = stop + capacity;
    int64_t count = 0, above = 0;
    for (int y = 0; y < height; y++, mask += width) {
        int64_t first = count, upper = above;
        int from, to = 0;
        while (next_run(mask, width, to, &from, &to)) {
            row[count] = y, start[count] = from, stop[count] = to, parent[count] = count;
            while (upper < first && stop[upper] < from) upper++;
            for (int64_t other = upper; other < first && start[other] <= to; other++) {
                int64_t a = root(parent, other), b = root(parent, count);
                if (a < b) parent[b] = a;
                else parent[a] = b;
            }
            count++;
        }
        above = first;
    }
    int64_t number = 0, *left = boxes, *top = left + capacity, *right = top + capacity;
    int64_t *bottom = right + capacity, *area = bottom + capacity;
    for (int64_t i = 0; i < count; i++) {
        int64_t own = parent[i] == i ? number : parent[parent[i]]; /* parents come first */
        if (parent[i] == i) {
            left[own] = start[i], top[own] = row[i], right[own] = area[own] = 0;
            number++;
        }
        parent[i] = own;
        if (start[i] < left[own]) left[own] = start[i];
        if (stop[i] > right[own]) right[own] = stop[i];
        bottom[own] = row[i] + 1;
        area[own] += stop[i] - start[i];
    }
    return number;
}

/* Grow a mask by `reach` pixels each way. 0, or -1 without memory. */
static int spread(const uint8_t *mask, int height, int width, int reach, uint8_t *out) {
    uint8_t *wide = calloc((size_t)height * width + 1, 1);
    int *left = calloc(width + 1, sizeof(int));
    if (!wide || !left) { free(wide), free(left); return -1; }
    for (int y = 0; y < height; y++) {
        int start, stop = 0;
        while (next_run(mask + (int64_t)y * width, width, stop, &start, &stop)) {
            int from = larger(0, start - reach);
            memset(wide + (int64_t)y * width + from, 1, smaller(width, stop + reach) - from);
        }
    }
    memset(out, 0, (size_t)height * width);
    for (int pass = 0; pass < 2; pass++) { /* down, then up */
        memset(left, 0, sizeof(int) * width);
        for (int i = 0; i < height; i++) {
            int64_t at = (int64_t)(pass ? height - 1 - i : i) * width;
            for (int x = 0; x < width; x++) {
                left[x] = wide[at + x] ? reach + 1 : left[x] - (left[x] > 0);
                out[at + x] |= left[x] > 0;
            }
        }
    }
    free(wide), free(left);
    return 0;
}

/* --- ink --- */

/* The larger of each value and another plane's. */
static void lift(float *plane, const float *other, int count) {
    for (int i = 0; i < count; i++) plane[i] = other[i] > plane[i] ? other[i] : plane[i];
}

/* The largest value of each block of the picture and of the two blocks around it each way; a
 * block that the border cuts off has at least -1. */
int strength(const float *values, int height, int width, int block, float *out) {
    int rows = (height + block - 1) / block, columns = (width + block - 1) / block;
    float *strip = malloc(sizeof(float) * ((int64_t)width + columns * (rows + 1)));
    float *row = strip + width, *across = row + columns;
    if (!strip) return -1;
    for (int y = 0; y < rows; y++) {
        const float *first = values + (int64_t)y * block * width;
        int high = smaller(block, height - y * block);
        memcpy(strip, first, sizeof(float) * width);
        for (int i = 1; i < high; i++) lift(strip, first + (int64_t)i * width, width);
        for (int x = 0; x < columns; x++) {
            int right = smaller(width, (x + 1) * block);
            float best = high == block && right == (x + 1) * block ? strip[x * block] : -1.0f;
            for (int j = x * block; j < right; j++) best = strip[j] > best ? strip[j] : best;
            row[x] = best;
        }
        for (int x = 0; x < columns; x++) {
            float best = row[x];
            for (int j = larger(0, x - 2); j < smaller(columns, x + 3); j++)
                best = row[j] > best ? row[j] : best;
            across[y * columns + x] = best;
        }
    }
    memcpy(out, across, sizeof(float) * rows * columns);
    for (int y = 0; y < rows; y++)
        for (int i = larger(0, y - 2); i < smaller(rows, y + 3); i++)
            lift(out + y * columns, across + i * columns, columns);
    free(strip);
    return 0;
}

/* A mask of the values above a level that is given by block, with the level of each pixel. */
int strokes(const float *values, int height, int width, const float *coarse, int block,
            float *level, uint8_t *mask) {
    int rows = (height + block - 1) / block, columns = (width + block - 1) / block;
    if (resample(coarse, columns, rows, columns, level, rows * block, columns * block, height,
                 width, BILINEAR)) return -1;
    for (int64_t i = 0; i < (int64_t)height * width; i++) mask[i] = values[i] > level[i];
    return 0;
}

/* --- the network's input --- */

/* The part of a plane with visible ink; height 0 without ink. */
static Area trim(const float *plane, int height, int width) {
    int top = height, bottom = 0, left = width, right = 0;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            if (plane[(int64_t)y * width + x] > 0.05f) {
                if (top == height) top = y;
                bottom = y + 1, left = smaller(left, x), right = larger(right, x + 1);
            }
    return bottom ? (Area){top, left, bottom - top, right - left} : (Area){0, 0, 0, 0};
}

static float at(const float *plane, int stride, Area area, int y, int x) {
    if (y < 0 || x < 0 || y >= area.height || x >= area.width) return 0.0f;
    return plane[(int64_t)(area.top + y) * stride + area.left + x];
}

/* Twice the ink over the length of its edges, in pixels. Below 0 without memory. */
static double stroke_width(const float *plane, int stride, Area area) {
    int64_t count = (int64_t)(area.height + 1) * (area.width + 1);
    float *edges = malloc(sizeof(float) * count), *edge = edges;
    if (!edges) return -1.0;
    for (int y = -1; y < area.height; y++)
        for (int x = -1; x < area.width; x++) {
            float corner = at(plane, stride, area, y, x);
            float down = at(plane, stride, area, y + 1, x) - corner;
            float across = at(plane, stride, area, y, x + 1) - corner;
            *edge++ = __builtin_sqrtf(down * down + across * across);
        }
    double length = sum(edges, count);
    free(edges);
    return 2.0 * (double)sum_area(plane, stride, area) / (length > 1e-6 ? length : 1e-6);
}

typedef struct { float *values; int height, width; } Plane;

/* Resample an area so that its longer side has `longest` pixels, with a blank margin. */
static Plane fitted(const float *plane, int stride, Area area, int longest, int margin) {
    double scale = (double)longest / larger(area.height, area.width);
    int rows = larger(1, nearest(area.height * scale));
    int columns = larger(1, nearest(area.width * scale));
    Plane out = {NULL, rows + 2 * margin, columns + 2 * margin};
    float *inner = malloc(sizeof(float) * rows * columns);
    plane += (int64_t)area.top * stride + area.left;
    if (inner && !resample(plane, stride, area.height, area.width, inner, rows, columns, rows,
                           columns, scale < 1.0 ? BOX : BICUBIC))
        out.values = calloc((size_t)out.height * out.width, sizeof(float));
    for (int y = 0; out.values && y < rows; y++)
        for (int x = 0; x < columns; x++) {
            float value = inner[y * columns + x];
            value = scale == 1.0 ? value : limited(value);
            out.values[(y + margin) * out.width + x + margin] = value;
        }
    free(inner);
    return out;
}

/* The largest of each value and the two of `others` at a distance before and after it. */
static void neighbours(const float *plane, const float *others, int count, int distance,
                       float *out) {
    memcpy(out, plane, sizeof(float) * count);
    for (int i = distance; i < count; i++)
        out[i] = others[i - distance] > out[i] ? others[i - distance] : out[i];
    for (int i = 0; i < count - distance; i++)
        out[i] = others[i + distance] > out[i] ? others[i + distance] : out[i];
}

/* Dilate a plane by `steps`, alternating between four and eight neighbours. -1 without memory. */
static int grow(Plane plane, int steps) {
    int count = plane.height * plane.width;
    float *across = malloc(sizeof(float) * 2 * count), *next = across + count;
    if (!across) return -1;
    for (int step = 0; step < steps; step++) {
        neighbours(plane.values, plane.values, count, 1, across);
        neighbours(across, step % 2 ? across : plane.values, count, plane.width, next);
        memcpy(plane.values, next, sizeof(float) * count);
    }
    free(across);
    return 0;
}

static void invert(Plane plane) {
    for (int i = 0; i < plane.height * plane.width; i++) plane.values[i] = 1.0f - plane.values[i];
}

/* The ink at 20 pixels along its longer side, with strokes of the usual width. */
static Plane shrunk(const float *plane, int stride, Area area) {
    double width = stroke_width(plane, stride, area) * INNER / larger(area.height, area.width);
    if (width < 0) return (Plane){NULL, 0, 0};
    if (width >= 1.9 && width <= 4.0) return fitted(plane, stride, area, INNER, 0);
    double change = (width < 1.9 ? 2.2 : 3.6) - width;
    int thicker = change > 0;
    int steps = smaller(larger(nearest((thicker ? change : -change) * 4 / 2), 1), 5);
    int longest = thicker ? FINE - 2 * steps : FINE;
    Plane fine = fitted(plane, stride, area, longest, thicker ? steps + 1 : 1);
    if (!fine.values) return fine;
    if (!thicker) invert(fine);
    if (grow(fine, steps)) { free(fine.values); return (Plane){NULL, 0, 0}; }
    if (!thicker) invert(fine);
    Area mended = trim(fine.values, fine.height, fine.width);
    Plane result;
    float least = 0.0f;
    if (!thicker) {
        float mean = sum_area(plane, stride, area) / (float)((int64_t)area.height * area.width);
        least = (float)(0.4 * (fine.height * fine.width)) * mean;
    }
    if (!mended.height || (!thicker && sum_area(fine.values, fine.width, mended) < least))
        result = fitted(plane, stride, area, INNER, 0);
    else
        result = fitted(fine.values, fine.width, mended, INNER, 0);
    free(fine.values);
    return result;
}

/* Where ink with this centre of mass begins, so that it lies at pixel 14. */
static int place(double centre, int size) {
    return smaller(larger(nearest(14.0 - centre), 0), SIDE - size);
}

/* The network's input for grey ink: `out` (28, 28), blank without ink. */
int normalise(const float *crop, int height, int width, float *out) {
    memset(out, 0, sizeof(float) * SIDE * SIDE);
    Area area = trim(crop, height, width);
    if (!area.height) return 0;
    Plane small = shrunk(crop, width, area);
    if (!small.values) return -1;
    double mass = sum(small.values, (int64_t)small.height * small.width), down = 0.0, across = 0.0;
    float columns[INNER];
    for (int x = 0; x < small.width; x++) columns[x] = small.values[x];
    for (int y = 0; y < small.height; y++) {
        down += (double)sum(small.values + y * small.width, small.width) * y;
        for (int x = 0; y && x < small.width; x++) columns[x] += small.values[y * small.width + x];
    }
    for (int x = 0; x < small.width; x++) across += (double)columns[x] * x;
    int top = place(down / mass, small.height), left = place(across / mass, small.width);
    for (int y = 0; y < small.height; y++)
        memcpy(out + (top + y) * SIDE + left, small.values + y * small.width,
               sizeof(float) * small.width);
    free(small.values);
    return 0;
}

/* The grey ink of one piece with soft edges and without neighbours: `out` (height, width).
 * `values` and `inked` are parts of larger planes, `mask` is contiguous. -1 without memory. */
int cut(const float *values, int stride, const uint8_t *inked, int inked_stride,
        const uint8_t *mask, int height, int width, int reach, double noise, float *out) {
    int64_t count = (int64_t)height * width, shown = 0, some = 0;
    uint8_t *own = malloc(3 * count + 1), *others = own + count, *near = others + count;
    float *ink = malloc(sizeof(float) * (count + 1));
    int failed = -1;
    if (!own || !ink || spread(mask, height, width, reach, own)) goto end;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            int64_t i = (int64_t)y * width + x;
            others[i] = inked[(int64_t)y * inked_stride + x] & (mask[i] ^ 1);
            some += others[i];
            ink[shown] = values[(int64_t)y * stride + x];
            shown += mask[i];
        }
    if (some) {
        if (spread(others, height, width, larger(1, reach / 2), near)) goto end;
        for (int64_t i = 0; i < count; i++) own[i] &= (near[i] ^ 1) | mask[i];
    }
    double high = 1.0;
    if (shown) {
        int64_t step = larger(1, (int)(shown / SAMPLE)), sampled = (shown + step - 1) / step;
        for (int64_t i = 0; i < sampled; i++) ink[i] = ink[i * step];
        int64_t index = (int64_t)(0.8 * sampled);
        high = ranked(ink, sampled, index < sampled - 1 ? index : sampled - 1);
    }
    double floor = 2.5 * noise + 0.01, half = 0.5 * high;
    double low = floor <= half ? floor : half, range = high - low;
    float bottom = (float)low, divisor = (float)(range >= 1e-3 ? range : 1e-3);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            int64_t i = (int64_t)y * width + x;
            float share = limited((values[(int64_t)y * stride + x] - bottom) / divisor);
            out[i] = own[i] ? share : 0.0f;
        }
    failed = 0;
end:
    free(own), free(ink);
    return failed;
}
