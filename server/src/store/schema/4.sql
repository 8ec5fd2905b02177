-- Facts have more fields by now: agents tell them anew when they connect.
DELETE FROM facts;
DELETE FROM sections;
