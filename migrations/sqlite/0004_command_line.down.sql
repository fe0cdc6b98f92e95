-- Back to the schema without the sign-in of the command line. What is under way has
-- to begin anew; tokens that were made by it stay.
DROP TABLE device_logins;
DROP TABLE cli_logins;
