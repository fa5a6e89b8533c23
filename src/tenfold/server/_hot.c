/* What every request of one row passes through in the front, in C.

   Each function here has a twin in Python, which says what is right and does all that is rare: whatever is not plain is
   handed to it. The tests hold the two equal. Attributes of classes with slots (and of msgspec's Structs, which have slots,
   too) are read where they lie, which is looked up once.

   Nothing here keeps anything of one request until the next. */

#define _GNU_SOURCE
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>
#include <structmember.h>

#ifndef SOURCE
#define SOURCE "" /* the digest of this file, by which one compiled from another is told */
#endif

#ifndef T_OBJECT_EX
#define T_OBJECT_EX Py_T_OBJECT_EX
#endif

/* Slots */

typedef struct {
    const char *name;
    Py_ssize_t at;
} Slot;

enum { TRANSPORT, BUSY, CONNECTION_STARTED, SINCE, APP, BUFFER, HEAD_BEGUN, KNOWN, LAST, ONLY_HEAD, STAYS, REJECTED };
enum { LENGTH, KEEP_ALIVE, IS_HEAD, HANDLER, BUDGET_S, TRACE, TRACE_ID };
enum { CONNECTION, HEAD, ID, STARTED, DECODED, DUE, DONE, REMARKS };
enum { STAMP, UNTIL, LOW };

static PyTypeObject *connection_type, *head_type, *single_type;

static Slot connection_slots[] = {
    {"transport", 0}, {"busy", 0}, {"started", 0}, {"since", 0}, {"_app", 0}, {"_buffer", 0},
    {"_head", 0}, {"_known", 0}, {"_last", 0}, {"_only_head", 0}, {"_stays", 0}, {"_rejected", 0}, {NULL, 0},
};
static Slot head_slots[] = {
    {"length", 0}, {"keep_alive", 0}, {"is_head", 0}, {"handler", 0}, {"budget_s", 0}, {"trace", 0}, {"trace_id", 0},
    {NULL, 0},
};
static Slot single_slots[] = {
    {"connection", 0}, {"head", 0}, {"id", 0}, {"started", 0}, {"decoded", 0}, {"due", 0}, {"done", 0}, {"remarks", 0},
    {NULL, 0},
};
static Slot ids_slots[] = {{"_stamp", 0}, {"_until", 0}, {"_low", 0}, {NULL, 0}};

#define GET(object, slots, which) (*(PyObject **)((char *)(object) + (slots)[which].at))

static inline void
put(PyObject *object, const Slot *slots, int which, PyObject *value)
{
    PyObject **place = &GET(object, slots, which), *before = *place;
    *place = Py_NewRef(value);
    Py_XDECREF(before);
}

static int
find_slots(PyTypeObject *type, Slot *slots)
{
    for (; slots->name != NULL; slots++) {
        PyObject *found = PyObject_GetAttrString((PyObject *)type, slots->name);
        if (found == NULL)
            return -1;
        PyMemberDef *member = Py_IS_TYPE(found, &PyMemberDescr_Type) ? ((PyMemberDescrObject *)found)->d_member : NULL;
        Py_DECREF(found);
        if (member == NULL || member->type != T_OBJECT_EX) {
            PyErr_Format(PyExc_TypeError, "%s.%s is no slot", type->tp_name, slots->name);
            return -1;
        }
        slots->at = member->offset;
    }
    return 0;
}

/* Names, and what is called */

static PyObject *write_name, *send_name, *answer_name, *rows_name, *offer_name, *lane_name, *one_name, *plain_name;
static PyObject *tight_s_name, *draining_name, *outputs_name, *notes_name, *sent_name, *timing_name, *replies_name, *has_key_name;
static PyObject *receive_name, *failed_name, *judge_name, *read_name, *renew_name;
static PyObject *monotonic, *expected; /* time.monotonic; what a row raises that the second pass has to judge */

static inline double
number(PyObject *value)
{
    return PyFloat_CheckExact(value) ? PyFloat_AS_DOUBLE(value) : PyFloat_AsDouble(value);
}

static double
attribute(PyObject *object, PyObject *name)
{
    PyObject *value = PyObject_GetAttr(object, name);
    if (value == NULL)
        return -1.0;
    double result = number(value);
    Py_DECREF(value);
    return result;
}

/* A row is read */

typedef struct {
    char code; /* of `struct`: d, q, B, or i for the code of a label */
    Py_ssize_t slot, at;
    int block;
    PyObject *labels;
} Field;

typedef struct {
    PyObject *decode, *otherwise;
    PyTypeObject *row;
    char sign;
    Py_ssize_t times, blocks, parts, fields;
    Py_ssize_t sizes[8]; /* of the parts: the blocks, and the bits of what is missing, which is nothing */
    Field field[];
} Plan;

static const char PLAN[] = "tenfold.server._hot.Plan";

static void
forget_plan(PyObject *capsule)
{
    Plan *plan = PyCapsule_GetPointer(capsule, PLAN);
    for (Py_ssize_t k = 0; k < plan->fields; k++)
        Py_XDECREF(plan->field[k].labels);
    Py_XDECREF(plan->decode);
    Py_XDECREF(plan->otherwise);
    Py_XDECREF(plan->row);
    PyMem_Free(plan);
}

static int
pack_value(const Field *field, PyObject *value, char *to)
{
    double real;
    int64_t whole;
    int32_t label;
    PyObject *found;
    switch (value == NULL ? 0 : field->code) {
    case 'd':
        if (!PyFloat_CheckExact(value))
            return -1;
        real = PyFloat_AS_DOUBLE(value);
        memcpy(to, &real, sizeof real);
        return 0;
    case 'q':
        if (!PyLong_CheckExact(value) || ((whole = PyLong_AsLongLong(value)) == -1 && PyErr_Occurred()))
            return -1;
        memcpy(to, &whole, sizeof whole);
        return 0;
    case 'B':
        *to = value == Py_True;
        return PyBool_Check(value) ? 0 : -1;
    case 'i':
        found = PyDict_GetItemWithError(field->labels, value);
        if (found == NULL || !PyLong_CheckExact(found))
            return -1;
        label = (int32_t)PyLong_AsLong(found);
        memcpy(to, &label, sizeof label);
        return 0;
    default:
        return -1;
    }
}

static PyObject *
pack_row(const Plan *plan, PyObject *row)
{
    PyObject *parts = PyTuple_New(plan->parts);
    if (parts == NULL)
        return NULL;
    for (Py_ssize_t k = 0; k < plan->parts; k++) {
        PyObject *part = PyBytes_FromStringAndSize(NULL, plan->sizes[k]);
        if (part == NULL) {
            Py_DECREF(parts);
            return NULL;
        }
        if (k >= plan->blocks)
            memset(PyBytes_AS_STRING(part), 0, plan->sizes[k]);
        PyTuple_SET_ITEM(parts, k, part);
    }
    for (const Field *field = plan->field; field < plan->field + plan->fields; field++) {
        char *to = PyBytes_AS_STRING(PyTuple_GET_ITEM(parts, field->block)) + field->at;
        if (pack_value(field, *(PyObject **)((char *)row + field->slot), to) < 0) {
            Py_DECREF(parts);
            return NULL;
        }
    }
    return parts;
}

static PyObject *
read_row(PyObject *capsule, PyObject *body)
{
    const Plan *plan = PyCapsule_GetPointer(capsule, PLAN);
    if (plan == NULL)
        return NULL;
    PyObject *parts = NULL, *row = PyObject_CallOneArg(plan->decode, body);
    if (row != NULL && Py_IS_TYPE(row, plan->row) && PyBytes_CheckExact(body)) {
        const char *bytes = PyBytes_AS_STRING(body);
        Py_ssize_t size = PyBytes_GET_SIZE(body), found = 0;
        for (Py_ssize_t k = 0; k < size; k++)
            found += bytes[k] == plan->sign;
        if (found == plan->times)
            parts = pack_row(plan, row);
    }
    Py_XDECREF(row);
    if (parts != NULL || (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_Exception)))
        return parts;
    PyErr_Clear();
    return PyObject_CallOneArg(plan->otherwise, body);
}

static PyMethodDef read_row_method = {"read_row", read_row, METH_O, "The parts of one row, as `Decoder.one` gives them."};

PyDoc_STRVAR(row_reader_doc, "row_reader(decode, row, fields, sizes, bit_bytes, sign, times, otherwise): `Decoder.one` for rows of "
"numbers, booleans and labels. Each field is (code, name of its slot, block, offset, labels); what does not fit goes to `otherwise`.");

static PyObject *
row_reader(PyObject *Py_UNUSED(module), PyObject *given)
{
    PyObject *decode, *row, *fields, *sizes, *otherwise;
    Py_ssize_t bit_bytes, times;
    char sign;
    if (!PyArg_ParseTuple(given, "OO!O!O!ncnO:row_reader", &decode, &PyType_Type, &row, &PyList_Type, &fields,
                          &PyList_Type, &sizes, &bit_bytes, &sign, &times, &otherwise))
        return NULL;
    Py_ssize_t blocks = PyList_GET_SIZE(sizes);
    if (blocks > 7) {
        PyErr_SetString(PyExc_ValueError, "a row has seven blocks at most");
        return NULL;
    }
    Plan *plan = PyMem_Calloc(1, sizeof(Plan) + PyList_GET_SIZE(fields) * sizeof(Field));
    if (plan == NULL)
        return PyErr_NoMemory();
    PyObject *capsule = PyCapsule_New(plan, PLAN, forget_plan);
    if (capsule == NULL) {
        PyMem_Free(plan);
        return NULL;
    }
    plan->decode = Py_NewRef(decode);
    plan->otherwise = Py_NewRef(otherwise);
    plan->row = (PyTypeObject *)Py_NewRef(row);
    plan->sign = sign;
    plan->times = times;
    plan->blocks = blocks;
    plan->parts = blocks + (bit_bytes > 0);
    for (Py_ssize_t k = 0; k < blocks; k++)
        plan->sizes[k] = PyLong_AsSsize_t(PyList_GET_ITEM(sizes, k));
    plan->sizes[blocks] = bit_bytes;
    for (Py_ssize_t k = 0; k < PyList_GET_SIZE(fields) && !PyErr_Occurred(); k++) {
        Field *field = &plan->field[plan->fields];
        Slot slot[] = {{NULL, 0}, {NULL, 0}};
        PyObject *labels;
        int code;
        if (!PyArg_ParseTuple(PyList_GET_ITEM(fields, k), "CsinO", &code, &slot->name, &field->block, &field->at, &labels)
            || find_slots(plan->row, slot) < 0)
            break;
        Py_ssize_t size = code == 'B' ? 1 : code == 'i' ? 4 : 8;
        if (field->block < 0 || field->block >= blocks || field->at < 0 || field->at + size > plan->sizes[field->block]
            || (code == 'i' && !PyDict_CheckExact(labels))) {
            PyErr_SetString(PyExc_ValueError, "a field has a place in its block, and a label a code");
            break;
        }
        field->code = (char)code;
        field->slot = slot->at;
        field->labels = Py_NewRef(labels);
        plan->fields++;
    }
    PyObject *made = PyErr_Occurred() ? NULL : PyCFunction_New(&read_row_method, capsule);
    Py_DECREF(capsule);
    return made;
}

/* A request comes */

static PyObject *
receive_slowly(PyObject *self, PyObject *data)
{
    return PyObject_CallMethodOneArg(self, receive_name, data);
}

/* What `Connection._handle` does when a handler fails. */
static PyObject *
tell_failed(PyObject *self, PyObject *head)
{
    PyObject *type, *error, *trace;
    if (!PyErr_ExceptionMatches(PyExc_Exception))
        return NULL;
    PyErr_Fetch(&type, &error, &trace);
    PyErr_NormalizeException(&type, &error, &trace);
    if (trace != NULL)
        PyException_SetTraceback(error, trace);
    PyObject *done = PyObject_CallMethodObjArgs(self, failed_name, head, error, NULL);
    Py_XDECREF(type);
    Py_XDECREF(error);
    Py_XDECREF(trace);
    return done;
}

static Py_ssize_t max_head_bytes;

PyDoc_STRVAR(data_received_doc,
"A whole request whose head was seen before is given to its handler; anything else is for `_receive`.");

static PyObject *
data_received(PyObject *self, PyObject *data)
{
    PyObject *buffer = GET(self, connection_slots, BUFFER), *known = GET(self, connection_slots, KNOWN);
    if (!PyBytes_CheckExact(data) || GET(self, connection_slots, HEAD_BEGUN) != Py_None
        || GET(self, connection_slots, BUSY) != Py_False || GET(self, connection_slots, REJECTED) != Py_False
        || buffer == NULL || !PyBytes_CheckExact(buffer) || PyBytes_GET_SIZE(buffer) != 0 || known == NULL)
        return receive_slowly(self, data);
    const char *bytes = PyBytes_AS_STRING(data);
    Py_ssize_t size = PyBytes_GET_SIZE(data);
    const char *end = memmem(bytes, size < max_head_bytes ? size : max_head_bytes, "\r\n\r\n", 4);
    if (end == NULL)
        return receive_slowly(self, data);
    Py_ssize_t head_size = end - bytes + 4;
    PyObject *raw = PyBytes_FromStringAndSize(bytes, head_size);
    if (raw == NULL)
        return NULL;
    PyObject *head = PyDict_GetItemWithError(known, raw);
    Py_DECREF(raw);
    if (head == NULL)
        return PyErr_Occurred() ? NULL : receive_slowly(self, data);
    if (!PyObject_TypeCheck(head, head_type) || GET(head, head_slots, HANDLER) == NULL
        || PyLong_AsSsize_t(GET(head, head_slots, LENGTH)) != size - head_size)
        return receive_slowly(self, data);
    Py_INCREF(head);
    PyObject *handler = Py_NewRef(GET(head, head_slots, HANDLER));
    PyObject *started = PyObject_CallNoArgs(monotonic);
    PyObject *body = PyBytes_FromStringAndSize(bytes + head_size, size - head_size);
    PyObject *result = NULL;
    if (started != NULL && body != NULL) {
        put(self, connection_slots, CONNECTION_STARTED, started);
        put(self, connection_slots, SINCE, started);
        put(self, connection_slots, BUSY, Py_True);
        put(self, connection_slots, ONLY_HEAD, GET(head, head_slots, IS_HEAD));
        put(self, connection_slots, STAYS, GET(head, head_slots, KEEP_ALIVE));
        PyObject *arguments[] = {NULL, self, head, body, started};
        result = PyObject_Vectorcall(handler, arguments + 1, 4 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
        if (result == NULL)
            result = tell_failed(self, head);
    }
    Py_DECREF(head);
    Py_DECREF(handler);
    Py_XDECREF(started);
    Py_XDECREF(body);
    return result;
}

static PyObject *hexes; /* the last three digits of an id */

/* Ids.next, as long as the millisecond lasts. */
static PyObject *
next_id(PyObject *ids, double now)
{
    Py_ssize_t low = PyLong_AsSsize_t(GET(ids, ids_slots, LOW)) + 1;
    if (low <= 0 && PyErr_Occurred())
        return NULL;
    if (now >= number(GET(ids, ids_slots, UNTIL)) || low >= PyList_GET_SIZE(hexes)) {
        PyObject *moment = PyFloat_FromDouble(now);
        PyObject *done = moment == NULL ? NULL : PyObject_CallMethodOneArg(ids, renew_name, moment);
        Py_XDECREF(moment);
        if (done == NULL)
            return NULL;
        Py_DECREF(done);
        low = 0;
    }
    else {
        PyObject *count = PyLong_FromSsize_t(low);
        if (count == NULL)
            return NULL;
        put(ids, ids_slots, LOW, count);
        Py_DECREF(count);
    }
    PyObject *stamp = GET(ids, ids_slots, STAMP), *digits = PyList_GET_ITEM(hexes, low);
    if (stamp == NULL || !PyBytes_CheckExact(stamp) || !PyBytes_CheckExact(digits)) {
        PyErr_SetString(PyExc_TypeError, "an id is made of bytes");
        return NULL;
    }
    Py_ssize_t first = PyBytes_GET_SIZE(stamp), last = PyBytes_GET_SIZE(digits);
    PyObject *id = PyBytes_FromStringAndSize(NULL, first + last);
    if (id == NULL)
        return NULL;
    memcpy(PyBytes_AS_STRING(id), PyBytes_AS_STRING(stamp), first);
    memcpy(PyBytes_AS_STRING(id) + first, PyBytes_AS_STRING(digits), last);
    return id;
}

static PyObject *ids;

/* The request that a row becomes; NULL with an exception where it cannot be read. */
static PyObject *
request_of(PyObject *site, PyObject *lane, PyObject *const *given)
{
    PyObject *connection = given[0], *head = given[1], *body = given[2], *started = given[3];
    PyObject *request = NULL, *id = NULL, *decoded = NULL, *due = NULL, *rows = NULL;
    PyObject *packed = PyObject_CallMethodOneArg(site, one_name, body);
    if (packed == NULL)
        return NULL;
    if ((id = next_id(ids, number(started))) != NULL && (decoded = PyObject_CallNoArgs(monotonic)) != NULL
        && (due = PyFloat_FromDouble(number(started) + number(GET(head, head_slots, BUDGET_S)))) != NULL
        && (rows = PyTuple_Pack(1, packed)) != NULL && !PyErr_Occurred()) {
        PyObject *arguments[] = {NULL, lane, connection, head, id, started, decoded, due, body, rows};
        request = PyObject_Vectorcall((PyObject *)single_type, arguments + 1, 9 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    }
    Py_XDECREF(id);
    Py_XDECREF(decoded);
    Py_XDECREF(due);
    Py_XDECREF(rows);
    Py_DECREF(packed);
    return request;
}

PyDoc_STRVAR(predict_doc, "A JSON body that is one row without a key is queued; anything else is for `_read`.");

static PyObject *
predict(PyObject *self, PyObject *const *given, Py_ssize_t count)
{
    if (count != 4 || !PyObject_TypeCheck(given[1], head_type)) {
        PyErr_SetString(PyExc_TypeError, "a handler takes a connection, a head, a body and a moment");
        return NULL;
    }
    PyObject *result = NULL, *request = NULL, *lane = PyObject_GetAttr(self, lane_name);
    PyObject *has_key = lane == NULL ? NULL : PyObject_GetAttr(self, has_key_name);
    if (has_key == Py_False)
        request = request_of(self, lane, given);
    if (request != NULL)
        result = PyObject_CallMethodOneArg(lane, offer_name, request);
    else if (!PyErr_Occurred() || PyErr_ExceptionMatches(expected)) {
        PyObject *arguments[] = {self, given[0], given[1], given[2], given[3]}, *name = PyErr_Occurred() ? judge_name : read_name;
        PyErr_Clear();
        result = PyObject_VectorcallMethod(name, arguments, 5, NULL);
    }
    Py_XDECREF(request);
    Py_XDECREF(has_key);
    Py_XDECREF(lane);
    return result;
}

/* Its answer leaves */

static inline char *
copied(char *to, const char *from, Py_ssize_t size)
{
    memcpy(to, from, size);
    return to + size;
}

static inline char *
copied_bytes(char *to, PyObject *from)
{
    return copied(to, PyBytes_AS_STRING(from), PyBytes_GET_SIZE(from));
}

/* A whole number in decimal digits; returns its first one, the last one stands before `end`. */
static inline char *
decimal(char *end, uint64_t value)
{
    do
        *--end = '0' + value % 10;
    while (value /= 10);
    return end;
}

#define DURATION 32

/* Milliseconds with three decimals, as `replies.milliseconds` writes them; 0 bytes where there is no room for so many. */
static inline Py_ssize_t
milliseconds(char *text, double seconds)
{
    double microseconds = seconds * 1e6;
    if (!(microseconds >= 0.0 && microseconds < 10000.0)) {
        char *written = microseconds >= 0.0 ? PyOS_double_to_string(seconds * 1e3, 'f', 3, 0, NULL) : NULL;
        Py_ssize_t size = written == NULL ? 0 : (Py_ssize_t)strlen(written);
        size = size < DURATION ? size : 0;
        memcpy(text, written, size);
        PyMem_Free(written);
        return size;
    }
    char buffer[24];
    uint64_t whole = (uint64_t)microseconds;
    char *first = decimal(buffer + sizeof buffer, whole / 1000);
    Py_ssize_t size = buffer + sizeof buffer - first;
    memcpy(text, first, size);
    text[size] = '.';
    text[size + 1] = '0' + whole / 100 % 10;
    text[size + 2] = '0' + whole / 10 % 10;
    text[size + 3] = '0' + whole % 10;
    return size + 4;
}

#define LITERAL(to, text) copied(to, text, sizeof text - 1)

typedef struct {
    PyObject *first, *last, *middle;
} Pieces;

/* What `Replies.plain` puts together; NULL without an exception where that is for Python. */
static PyObject *
plain_answer(const Pieces *pieces, PyObject *id, PyObject *trace_id, double decode_s, double queue_s, PyObject *output)
{
    char decode[DURATION], queue[DURATION], digits[24];
    Py_ssize_t decode_size = milliseconds(decode, decode_s), queue_size = milliseconds(queue, queue_s);
    if (!decode_size || !queue_size || !PyBytes_CheckExact(id) || !PyBytes_CheckExact(trace_id))
        return NULL;
    Py_ssize_t body = sizeof "{\"id\":\"" - 1 + PyBytes_GET_SIZE(id) + PyBytes_GET_SIZE(pieces->middle)
                      + PyBytes_GET_SIZE(output) + 1;
    char *length = decimal(digits + sizeof digits, body);
    Py_ssize_t size = PyBytes_GET_SIZE(pieces->first) + (digits + sizeof digits - length)
                      + sizeof "\r\nx-request-id: " - 1 + PyBytes_GET_SIZE(trace_id)
                      + sizeof "\r\nserver-timing: decode;dur=" - 1 + decode_size
                      + sizeof ", queue;dur=" - 1 + queue_size + PyBytes_GET_SIZE(pieces->last)
                      + sizeof "\r\n\r\n" - 1 + body;
    PyObject *answer = PyBytes_FromStringAndSize(NULL, size);
    if (answer == NULL)
        return NULL;
    char *to = copied_bytes(PyBytes_AS_STRING(answer), pieces->first);
    to = copied(to, length, digits + sizeof digits - length);
    to = LITERAL(to, "\r\nx-request-id: ");
    to = copied_bytes(to, trace_id);
    to = LITERAL(to, "\r\nserver-timing: decode;dur=");
    to = copied(to, decode, decode_size);
    to = LITERAL(to, ", queue;dur=");
    to = copied(to, queue, queue_size);
    to = copied_bytes(to, pieces->last);
    to = LITERAL(to, "\r\n\r\n{\"id\":\"");
    to = copied_bytes(to, id);
    to = copied_bytes(to, pieces->middle);
    to = copied_bytes(to, output);
    LITERAL(to, "}");
    return answer;
}

/* What `Connection.send` does. */
static int
send_answer(PyObject *connection, PyObject *transport, PyObject *answer, PyObject *keep_alive, PyObject **calm)
{
    PyObject *app = GET(connection, connection_slots, APP), *buffer = GET(connection, connection_slots, BUFFER);
    PyObject *done;
    if (app == NULL || app != *calm) { /* nearly always all connections are of one process */
        PyObject *draining = PyObject_GetAttr(app, draining_name);
        if (draining == NULL)
            return -1;
        *calm = draining == Py_False ? app : NULL;
        Py_DECREF(draining);
    }
    if (app == *calm && keep_alive == Py_True && GET(connection, connection_slots, LAST) == Py_False
        && GET(connection, connection_slots, ONLY_HEAD) == Py_False && PyBytes_CheckExact(buffer)
        && PyBytes_GET_SIZE(buffer) == 0) {
        put(connection, connection_slots, BUSY, Py_False);
        done = PyObject_CallMethodOneArg(transport, write_name, answer);
    }
    else {
        PyObject *arguments[] = {connection, answer, keep_alive};
        done = PyObject_VectorcallMethod(send_name, arguments, 3, NULL);
    }
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* Have an item answer for itself, which is not plain: 0, or -1 for an exception. */
static int
answer_slowly(PyObject *item, PyObject *outcome, Py_ssize_t at, PyObject *now)
{
    PyObject *place = PyLong_FromSsize_t(at);
    if (place == NULL)
        return -1;
    PyObject *arguments[] = {item, outcome, place, now};
    PyObject *done = PyObject_VectorcallMethod(answer_name, arguments, 4, NULL);
    Py_DECREF(place);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* Answer one row, if it is plain: 1 for yes, 0 for no, -1 for an exception. */
static int
answer_plainly(PyObject *item, PyObject *output, double sent, const Pieces *pieces, PyObject *came, PyObject **calm)
{
    PyObject *connection = GET(item, single_slots, CONNECTION), *head = GET(item, single_slots, HEAD);
    if (!Py_IS_TYPE(connection, connection_type) || !PyObject_TypeCheck(head, head_type) || !PyBytes_CheckExact(output)
        || GET(item, single_slots, REMARKS) != Py_None || GET(head, head_slots, TRACE) != Py_None)
        return 0;
    PyObject *transport = GET(connection, connection_slots, TRANSPORT);
    if (GET(item, single_slots, DONE) != Py_False || transport == Py_None)
        return 1; /* nobody waits for it */
    PyObject *id = GET(item, single_slots, ID), *trace_id = GET(head, head_slots, TRACE_ID);
    if (PyBytes_CheckExact(trace_id) && PyBytes_GET_SIZE(trace_id) == 0)
        trace_id = id;
    PyObject *started = GET(item, single_slots, STARTED);
    double decoded = number(GET(item, single_slots, DECODED));
    PyObject *answer = plain_answer(pieces, id, trace_id, decoded - number(started), sent - decoded, output);
    if (answer == NULL)
        return PyErr_Occurred() ? -1 : 0;
    put(item, single_slots, DONE, Py_True);
    int failed = PyList_Append(came, started);
    if (!failed) {
        Py_INCREF(transport);
        failed = send_answer(connection, transport, answer, GET(head, head_slots, KEEP_ALIVE), calm);
        Py_DECREF(transport);
    }
    Py_DECREF(answer);
    return failed ? -1 : 1;
}

static int
give_each(PyObject *items, PyObject *outputs, PyObject *outcome, PyObject *now, double sent, const Pieces *pieces,
          PyObject *came)
{
    PyObject *calm = NULL;
    Py_ssize_t at = 0;
    for (Py_ssize_t k = 0; k < PySequence_Fast_GET_SIZE(items); k++) {
        PyObject *item = Py_NewRef(PySequence_Fast_GET_ITEM(items, k));
        Py_ssize_t rows = 1;
        int done = 0;
        if (Py_IS_TYPE(item, single_type)) {
            if (pieces != NULL && at >= PyList_GET_SIZE(outputs)) {
                PyErr_SetString(PyExc_IndexError, "fewer answers than rows");
                done = -1;
            }
            else if (pieces != NULL)
                done = answer_plainly(item, PyList_GET_ITEM(outputs, at), sent, pieces, came, &calm);
        }
        else {
            PyObject *many = PyObject_GetAttr(item, rows_name);
            rows = many == NULL ? -1 : PyLong_AsSsize_t(many);
            Py_XDECREF(many);
            if (rows < 0 && !PyErr_Occurred())
                PyErr_SetString(PyExc_ValueError, "an item has some rows");
            done = rows < 0 ? -1 : 0;
        }
        if (!done)
            done = answer_slowly(item, outcome, at, now);
        Py_DECREF(item);
        if (done < 0)
            return -1;
        at += rows;
    }
    return 0;
}

PyDoc_STRVAR(give_doc, "give(items, outcome, now, lane, came): as `items.give_each`.");

static PyObject *
give(PyObject *Py_UNUSED(module), PyObject *const *given, Py_ssize_t count)
{
    if (count != 5 || !PyList_CheckExact(given[4])) {
        PyErr_SetString(PyExc_TypeError, "give(items, outcome, now, lane, came)");
        return NULL;
    }
    PyObject *outcome = given[1], *now = given[2], *lane = given[3], *came = given[4];
    PyObject *items = PySequence_Fast(given[0], "items are a sequence"), *replies = NULL, *timing = NULL, *said = NULL;
    PyObject *outputs = PyObject_GetAttr(outcome, outputs_name), *notes = PyObject_GetAttr(outcome, notes_name);
    double sent = attribute(outcome, sent_name), tight_s = attribute(lane, tight_s_name);
    int done = -1;
    if (items != NULL && PySequence_Fast_GET_SIZE(items) == 0)
        PyErr_SetString(PyExc_IndexError, "no rows to answer");
    if (items != NULL && outputs != NULL && notes != NULL && !PyErr_Occurred()
        && PySequence_Fast_GET_SIZE(items) > 0) {
        PyObject *first = PySequence_Fast_GET_ITEM(items, 0);
        double due = Py_IS_TYPE(first, single_type) ? number(GET(first, single_slots, DUE)) : -1.0;
        Pieces pieces, *plain = NULL;
        if (PyList_CheckExact(outputs) && notes == Py_None && due - number(now) >= tight_s
            && (timing = PyObject_GetAttr(outcome, timing_name)) != NULL
            && (replies = PyObject_GetAttr(lane, replies_name)) != NULL
            && (said = PyObject_CallMethodOneArg(replies, plain_name, timing)) != NULL
            && PyArg_ParseTuple(said, "SSS", &pieces.first, &pieces.last, &pieces.middle))
            plain = &pieces;
        if (!PyErr_Occurred())
            done = give_each(items, outputs, outcome, now, sent, plain, came);
    }
    Py_XDECREF(items);
    Py_XDECREF(outputs);
    Py_XDECREF(notes);
    Py_XDECREF(timing);
    Py_XDECREF(replies);
    Py_XDECREF(said);
    if (done < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* It is counted */

PyDoc_STRVAR(count_latencies_doc, "count_latencies(slots, first, places, now, came): as `metrics.count_each`.");

static PyObject *
count_latencies(PyObject *Py_UNUSED(module), PyObject *given)
{
    Py_buffer slots, places;
    Py_ssize_t first;
    double now;
    PyObject *came;
    if (!PyArg_ParseTuple(given, "w*ny*dO!:count_latencies", &slots, &first, &places, &now, &PyList_Type, &came))
        return NULL;
    Py_ssize_t room = slots.len / (Py_ssize_t)sizeof(uint64_t) - first, known = places.len;
    uint64_t *buckets = (uint64_t *)slots.buf + first;
    room = first < 0 ? 0 : room;
    const unsigned char *place = places.buf;
    for (Py_ssize_t k = 0; k < PyList_GET_SIZE(came); k++) {
        double taken = (now - number(PyList_GET_ITEM(came, k))) * 1e6;
        int64_t us = taken > 0.0 ? taken < 1e8 ? (int64_t)taken : 100000000 : 0;
        Py_ssize_t bucket = us < known             ? place[us]
                            : us < 100 * known     ? place[us / 100] + 80
                            : us < 10000 * known   ? place[us / 10000] + 160
                                                   : place[known - 1] + 161;
        if (bucket < room)
            buckets[bucket]++;
    }
    PyBuffer_Release(&slots);
    PyBuffer_Release(&places);
    if (PyErr_Occurred())
        return NULL;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(moments_doc, "moments(items): when they were read, and when they came, in seconds, summed; None where not each is "
"a request of one row.");

static PyObject *
moments(PyObject *Py_UNUSED(module), PyObject *items)
{
    if (!PyList_CheckExact(items))
        Py_RETURN_NONE;
    double decoded = 0.0, started = 0.0;
    for (Py_ssize_t k = 0; k < PyList_GET_SIZE(items); k++) {
        PyObject *item = PyList_GET_ITEM(items, k);
        if (!Py_IS_TYPE(item, single_type))
            Py_RETURN_NONE;
        decoded += number(GET(item, single_slots, DECODED));
        started += number(GET(item, single_slots, STARTED));
    }
    return PyErr_Occurred() ? NULL : Py_BuildValue("dd", decoded, started);
}

/* A batch travels */

#if PY_BIG_ENDIAN
#error "frames are little-endian"
#endif

enum { HEAD_BYTES = 24, MOST_PARTS = 64 }; /* of a frame; of parts, the rare rest is for Python */

static PyObject *frame_type, *unpack_slowly, *pack_slowly;

#define PADDED(size) (((size) + 7) & ~(Py_ssize_t)7)

PyDoc_STRVAR(pack_doc, "pack(kind, number, rows, due_ns, parts): as `frames.pack_each`.");

static PyObject *
pack(PyObject *Py_UNUSED(module), PyObject *const *given, Py_ssize_t count)
{
    Py_buffer buffers[MOST_PARTS];
    Py_ssize_t parts = count == 5 && PyList_CheckExact(given[4]) ? PyList_GET_SIZE(given[4]) : MOST_PARTS + 1, held = 0;
    if (parts > MOST_PARTS)
        return PyObject_Vectorcall(pack_slowly, given, count, NULL);
    unsigned long kind = PyLong_AsUnsignedLong(given[0]), number = PyLong_AsUnsignedLong(given[1]);
    unsigned long rows = PyLong_AsUnsignedLong(given[2]);
    int64_t due = PyLong_AsLongLong(given[3]);
    Py_ssize_t at = PADDED(HEAD_BYTES + 4 * parts), size = at;
    PyObject *frame = NULL;
    if (PyErr_Occurred() || kind > UINT8_MAX || number > UINT32_MAX || rows > UINT32_MAX) {
        PyErr_Clear();
        return PyObject_Vectorcall(pack_slowly, given, count, NULL);
    }
    for (; held < parts; held++) {
        if (PyObject_GetBuffer(PyList_GET_ITEM(given[4], held), &buffers[held], PyBUF_SIMPLE) < 0)
            goto done;
        size += PADDED(buffers[held].len);
    }
    if (size - 4 > (Py_ssize_t)UINT32_MAX) {
        PyErr_SetString(PyExc_OverflowError, "a frame has 4 GiB at most");
        goto done;
    }
    if ((frame = PyBytes_FromStringAndSize(NULL, size)) == NULL)
        goto done;
    char *to = PyBytes_AS_STRING(frame);
    uint32_t words[] = {(uint32_t)(size - 4), (uint32_t)kind | (uint32_t)parts << 16, (uint32_t)number, (uint32_t)rows};
    memcpy(to, words, sizeof words);
    memcpy(to + sizeof words, &due, sizeof due);
    memset(to + at - 8, 0, parts % 2 ? 8 : 0);
    for (Py_ssize_t k = 0; k < parts; k++) {
        uint32_t length = (uint32_t)buffers[k].len;
        memcpy(to + HEAD_BYTES + 4 * k, &length, sizeof length);
        memcpy(to + at, buffers[k].buf, length);
        memset(to + at + length, 0, PADDED(length) - length);
        at += PADDED(length);
    }
done:
    while (held)
        PyBuffer_Release(&buffers[--held]);
    return frame;
}

/* `view[start:end]` */
static PyObject *
slice_of(PyObject *view, Py_ssize_t start, Py_ssize_t end)
{
    PyObject *first = PyLong_FromSsize_t(start), *last = PyLong_FromSsize_t(end), *slice = NULL, *part = NULL;
    if (first != NULL && last != NULL && (slice = PySlice_New(first, last, NULL)) != NULL)
        part = PyObject_GetItem(view, slice);
    Py_XDECREF(first);
    Py_XDECREF(last);
    Py_XDECREF(slice);
    return part;
}

PyDoc_STRVAR(unpack_doc, "unpack(data): as `frames.unpack_each`.");

static PyObject *
unpack(PyObject *Py_UNUSED(module), PyObject *data)
{
    if (!PyBytes_CheckExact(data) || PyBytes_GET_SIZE(data) < HEAD_BYTES)
        return PyObject_CallOneArg(unpack_slowly, data);
    const char *from = PyBytes_AS_STRING(data);
    uint32_t words[4];
    int64_t due;
    memcpy(words, from, sizeof words);
    memcpy(&due, from + sizeof words, sizeof due);
    Py_ssize_t parts = words[1] >> 16, at = PADDED(HEAD_BYTES + 4 * parts);
    if (at > PyBytes_GET_SIZE(data))
        return PyObject_CallOneArg(unpack_slowly, data);
    PyObject *view = PyMemoryView_FromObject(data), *pieces = PyList_New(parts), *frame = NULL;
    PyObject *made[] = {NULL, PyLong_FromLong(words[1] & UINT8_MAX), PyLong_FromUnsignedLong(words[2]),
                        PyLong_FromUnsignedLong(words[3]), PyLong_FromLongLong(due), pieces};
    for (Py_ssize_t k = 0; view != NULL && pieces != NULL && k < parts; k++) {
        uint32_t length;
        memcpy(&length, from + HEAD_BYTES + 4 * k, sizeof length);
        PyObject *piece = slice_of(view, at, at + length);
        if (piece == NULL)
            break;
        PyList_SET_ITEM(pieces, k, piece);
        at += PADDED((Py_ssize_t)length);
    }
    if (!PyErr_Occurred())
        frame = PyObject_Vectorcall(frame_type, made + 1, 5 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    for (size_t k = 1; k < sizeof made / sizeof *made; k++)
        Py_XDECREF(made[k]);
    Py_XDECREF(view);
    return frame;
}

static PyMethodDef pack_function = {"pack", (PyCFunction)(void (*)(void))pack, METH_FASTCALL, pack_doc};
static PyMethodDef unpack_function = {"unpack", unpack, METH_O, unpack_doc};

PyDoc_STRVAR(framer_doc, "framer(Frame, pack, unpack): both, compiled; what is rare goes to those given.");

static PyObject *
framer(PyObject *Py_UNUSED(module), PyObject *given)
{
    if (!PyArg_ParseTuple(given, "OOO:framer", &frame_type, &pack_slowly, &unpack_slowly))
        return NULL;
    Py_INCREF(frame_type);
    Py_INCREF(pack_slowly);
    Py_INCREF(unpack_slowly);
    return Py_BuildValue("NN", PyCFunction_New(&pack_function, NULL), PyCFunction_New(&unpack_function, NULL));
}

/* The module */

static PyMethodDef received_method = {"data_received", data_received, METH_O, data_received_doc};
static PyMethodDef predict_method = {"_predict", (PyCFunction)(void (*)(void))predict, METH_FASTCALL, predict_doc};

PyDoc_STRVAR(receiver_doc, "receiver(Connection, Head, most): `data_received` for connections; a head has so many bytes at most.");

static PyObject *
receiver(PyObject *Py_UNUSED(module), PyObject *given)
{
    if (!PyArg_ParseTuple(given, "O!O!n:receiver", &PyType_Type, &connection_type, &PyType_Type, &head_type, &max_head_bytes))
        return NULL;
    Py_INCREF(connection_type);
    Py_INCREF(head_type);
    if (find_slots(connection_type, connection_slots) < 0 || find_slots(head_type, head_slots) < 0)
        return NULL;
    return PyDescr_NewMethod(connection_type, &received_method);
}

static PyMethodDef give_function = {"give", (PyCFunction)(void (*)(void))give, METH_FASTCALL, give_doc};

PyDoc_STRVAR(giver_doc, "giver(Single): `give`, where so a request of one row is called.");

static PyObject *
giver(PyObject *Py_UNUSED(module), PyObject *type)
{
    if (!PyType_Check(type)) {
        PyErr_SetString(PyExc_TypeError, "giver(Single)");
        return NULL;
    }
    single_type = (PyTypeObject *)Py_NewRef(type);
    if (find_slots(single_type, single_slots) < 0)
        return NULL;
    return PyCFunction_New(&give_function, NULL);
}

PyDoc_STRVAR(predictor_doc, "predictor(Site, ids, digits, expected): `_predict` for sites. `ids` are the `Ids` that name requests, by "
"these last digits; `expected` is what a row raises that is for `_read`.");

static PyObject *
predictor(PyObject *Py_UNUSED(module), PyObject *given)
{
    PyTypeObject *site_type;
    if (!PyArg_ParseTuple(given, "O!OO!O:predictor", &PyType_Type, &site_type, &ids, &PyList_Type, &hexes, &expected))
        return NULL;
    Py_INCREF(ids);
    Py_INCREF(hexes);
    Py_INCREF(expected);
    if (single_type == NULL || head_type == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "giver and receiver come first");
        return NULL;
    }
    if (find_slots(Py_TYPE(ids), ids_slots) < 0)
        return NULL;
    return PyDescr_NewMethod(site_type, &predict_method);
}

static PyMethodDef functions[] = {
    {"receiver", receiver, METH_VARARGS, receiver_doc},
    {"giver", giver, METH_O, giver_doc},
    {"predictor", predictor, METH_VARARGS, predictor_doc},
    {"framer", framer, METH_VARARGS, framer_doc},
    {"row_reader", row_reader, METH_VARARGS, row_reader_doc},
    {"count_latencies", count_latencies, METH_VARARGS, count_latencies_doc},
    {"moments", moments, METH_O, moments_doc},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "tenfold.server._hot",
    .m_doc = "What every request of one row passes through in the front, in C; each function has a twin in Python.",
    .m_size = -1,
    .m_methods = functions,
};

static const struct {
    PyObject **to;
    const char *name;
} names[] = {
    {&write_name, "write"}, {&send_name, "send"}, {&answer_name, "answer"}, {&rows_name, "rows"},
    {&offer_name, "offer"}, {&lane_name, "lane"}, {&one_name, "_one"}, {&plain_name, "pieces"},
    {&tight_s_name, "tight_s"}, {&draining_name, "draining"}, {&outputs_name, "outputs"}, {&notes_name, "notes"},
    {&sent_name, "sent"}, {&timing_name, "timing"}, {&replies_name, "replies"}, {&receive_name, "_receive"},
    {&failed_name, "_failed"}, {&read_name, "_read"}, {&judge_name, "_judge"}, {&renew_name, "_renew"},
    {&has_key_name, "_has_key"},
};

PyMODINIT_FUNC
PyInit__hot(void)
{
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        if ((*names[k].to = PyUnicode_InternFromString(names[k].name)) == NULL)
            return NULL;
    PyObject *time = PyImport_ImportModule("time");
    if (time == NULL)
        return NULL;
    monotonic = PyObject_GetAttrString(time, "monotonic");
    Py_DECREF(time);
    PyObject *module = monotonic == NULL ? NULL : PyModule_Create(&definition);
    if (module != NULL && PyModule_AddStringConstant(module, "source", SOURCE) < 0)
        Py_CLEAR(module);
    return module;
}
