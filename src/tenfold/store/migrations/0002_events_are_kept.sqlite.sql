CREATE TRIGGER event_is_not_altered BEFORE UPDATE ON event
BEGIN SELECT RAISE(ABORT, 'events are never altered'); END;

CREATE TRIGGER event_is_not_deleted BEFORE DELETE ON event
BEGIN SELECT RAISE(ABORT, 'events are never deleted'); END;

CREATE TRIGGER release_is_not_deleted BEFORE DELETE ON release
BEGIN SELECT RAISE(ABORT, 'releases are never deleted'); END;
